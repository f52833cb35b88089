/*
 * Every message is described once: the same function reads and writes it, by the direction of its `io`.
 * The first error stays, and after it nothing more is read or written.
 */
#include "edge_wire.h"

#include <string.h>

typedef struct {
    bool writes;
    const uint8_t *in;
    uint8_t *out;
    size_t left;
    size_t used;
    ew_status status;
} io;

static void fail(io *x, ew_status status) {
    if (x->status == EW_OK) {
        x->status = status;
    }
}

static io reader(const uint8_t *bytes, size_t len) {
    io x = {false, bytes, NULL, len, 0, EW_OK};
    if (len > EW_MAX_MESSAGE) {
        fail(&x, EW_BOUND);
    }
    return x;
}

static io writer(uint8_t *into, size_t room) {
    io x = {true, NULL, into, room, 0, EW_OK};
    return x;
}

/* --- primitives --------------------------------------------------------------------------------------------------- */

/* Takes `len` bytes of the room or of the input; false if there are not so many. */
static bool advance(io *x, size_t len) {
    if (x->status != EW_OK) {
        return false;
    }
    if (x->left < len) {
        fail(x, x->writes ? EW_ROOM : EW_SHORT);
        return false;
    }
    x->left -= len;
    x->used += len;
    return true;
}

static void raw(io *x, uint8_t *bytes, size_t len) {
    if (!advance(x, len) || len == 0) {
        return;
    }
    if (x->writes) {
        memcpy(x->out + x->used - len, bytes, len);
    } else {
        memcpy(bytes, x->in + x->used - len, len);
    }
}

static void u8(io *x, uint8_t *value) {
    raw(x, value, 1);
}

/* A number from 0 to most. */
static void number(io *x, uint8_t *value, uint8_t most) {
    u8(x, value);
    if (*value > most) {
        fail(x, x->writes ? EW_BOUND : EW_VALUE);
    }
}

static void u32le(io *x, uint32_t *value) {
    uint8_t b[4];
    for (unsigned i = 0; i < 4; i++) {
        b[i] = (uint8_t)(*value >> (8 * i));
    }
    raw(x, b, 4);
    if (!x->writes && x->status == EW_OK) {
        *value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
}

static void put_varint(io *x, uint64_t value) {
    do {
        uint8_t group = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        u8(x, &group);
        value >>= 7;
    } while (value != 0);
}

static uint64_t take_varint(io *x, unsigned bits) {
    uint64_t value = 0;
    for (unsigned shift = 0; x->status == EW_OK; shift += 7) {
        uint8_t group = 0;
        u8(x, &group);
        unsigned left = bits - shift;
        if (left < 7 && group >> left != 0) {
            fail(x, EW_VALUE);
        } else if (x->status == EW_OK) {
            value |= (uint64_t)(group & 0x7f) << shift;
            if ((group & 0x80) == 0) {
                return value;
            }
        }
    }
    return 0;
}

static void varint64(io *x, uint64_t *value) {
    if (x->writes) {
        put_varint(x, *value);
    } else {
        *value = take_varint(x, 64);
    }
}

static void varint32(io *x, uint32_t *value) {
    if (x->writes) {
        put_varint(x, *value);
    } else {
        *value = (uint32_t)take_varint(x, 32);
    }
}

static void varint16(io *x, uint16_t *value) {
    if (x->writes) {
        put_varint(x, *value);
    } else {
        *value = (uint16_t)take_varint(x, 16);
    }
}

/* Whether the next bytes of a sequence are those of one character; its length goes to *len. */
static bool is_character(const uint8_t *s, size_t left, size_t *len) {
    uint8_t low = 0x80, high = 0xbf, first = s[0];
    if (first < 0x80) {
        *len = 1;
        return true;
    }
    if (first < 0xc2 || first > 0xf4) {
        return false;
    }
    *len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (*len > left || s[1] < low || s[1] > high) {
        return false;
    }
    for (size_t i = 2; i < *len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

static bool is_utf8(const uint8_t *s, size_t left) {
    while (left > 0) {
        size_t len = 0;
        if (!is_character(s, left, &len)) {
            return false;
        }
        s += len;
        left -= len;
    }
    return true;
}

static void text(io *x, ew_text *value) {
    uint32_t len = value->len;
    varint32(x, &len);
    if (len > EW_MAX_TEXT) {
        fail(x, EW_BOUND);
        return;
    }
    if (x->writes) {
        if (advance(x, len) && len > 0) {
            memcpy(x->out + x->used - len, value->at, len);
        }
    } else if (advance(x, len)) {
        const uint8_t *at = x->in + x->used - len;
        if (!is_utf8(at, len)) {
            fail(x, EW_VALUE);
        }
        value->at = (const char *)at;
        value->len = (uint8_t)len;
    }
}

/* All that follows. */
static void rest(io *x, ew_bytes *value, size_t most) {
    size_t len = x->writes ? value->len : x->left;
    if (len > most) {
        fail(x, EW_BOUND);
    }
    if (!advance(x, len)) {
        return;
    }
    if (!x->writes) {
        value->at = x->in + x->used - len;
        value->len = (uint16_t)len;
    } else if (len > 0) {
        memcpy(x->out + x->used - len, value->at, len);
    }
}

static void count(io *x, uint8_t *value, size_t capacity) {
    u8(x, value);
    if (*value > EW_MAX_ITEMS) {
        fail(x, x->writes ? EW_BOUND : EW_COUNT);
    } else if (!x->writes && *value > capacity) {
        fail(x, EW_ROOM);
    }
}

/* The first byte: version and what the topic makes of the low five bits. */
static void head_byte(io *x, uint8_t *detail) {
    uint8_t byte = (uint8_t)(EW_VERSION << 5 | (*detail & 0x1f));
    u8(x, &byte);
    if (!x->writes && x->status == EW_OK) {
        if (byte >> 5 != EW_VERSION) {
            fail(x, EW_VERSIONS);
        }
        *detail = byte & 0x1f;
    }
}

static ew_status end(io *x, size_t *len) {
    if (!x->writes && x->left > 0) {
        fail(x, EW_TRAILING);
    }
    if (len != NULL) {
        *len = x->used;
    }
    return x->status;
}

/* --- what several messages hold ----------------------------------------------------------------------------------- */

static void stream(io *x, uint8_t *value) {
    number(x, value, EW_STREAMS - 1);
}

static void mark(io *x, ew_mark *value) {
    varint32(x, &value->boot);
    varint64(x, &value->seq);
}

static void kind_id(io *x, ew_kind_id *value) {
    raw(x, value->id, sizeof value->id);
}

static void command_id(io *x, ew_command_id *value) {
    u32le(x, &value->origin);
    varint64(x, &value->seq);
}

static void versions(io *x, ew_versions *value) {
    u8(x, &value->oldest);
    u8(x, &value->newest);
}

/* --- d/ ----------------------------------------------------------------------------------------------------------- */

enum { BATCH = 0x10, FOREIGN = 0x08 };

/* Between the count and the items, while a batch is filled: a length and a time. */
enum { HEADROOM = 2 + 10 };

static void event_head(io *x, ew_head *head, uint8_t *detail) {
    if (x->writes) {
        if (head->stream >= EW_STREAMS) {
            fail(x, EW_BOUND);
        }
        *detail = (uint8_t)(*detail | (head->foreign ? FOREIGN : 0) | (head->stream & 7));
    }
    head_byte(x, detail);
    head->foreign = (*detail & FOREIGN) != 0;
    head->stream = *detail & 7;
    if (head->foreign) {
        u32le(x, &head->incarnation);
    }
    mark(x, &head->mark);
    varint64(x, &head->uptime_ms);
    kind_id(x, &head->kind);
    if (head->mark.boot == 0 || head->mark.seq == 0) {
        fail(x, x->writes ? EW_BOUND : EW_VALUE);
    }
}

ew_status ew_encode_event(const ew_head *head, ew_bytes data, uint8_t *into, size_t room, size_t *len) {
    io x = writer(into, room);
    ew_head copy = *head;
    uint8_t detail = 0;
    event_head(&x, &copy, &detail);
    rest(&x, &data, EW_MAX_DATA);
    return end(&x, len);
}

ew_status ew_batch_begin(ew_batch *batch, const ew_head *first, uint8_t *into, size_t room) {
    io x = writer(into, room);
    ew_head copy = *first;
    uint8_t detail = BATCH;
    event_head(&x, &copy, &detail);
    memset(batch, 0, sizeof *batch);
    batch->count_at = x.used;
    (void)advance(&x, 1 + HEADROOM);
    batch->buffer = into;
    batch->room = room;
    batch->used = x.used;
    batch->uptime_ms = first->uptime_ms;
    batch->one_length = batch->one_time = true;
    return x.status;
}

/* How long after the one before an item of a batch is, unless all are as far apart. */
static void item_time(io *x, uint64_t *after_ms, bool one_time) {
    if (!one_time) {
        varint64(x, after_ms);
    }
}

/* The data of an item, with its length in front unless all have the same. */
static void item_data(io *x, ew_bytes *data, bool one_length) {
    uint32_t len = data->len;
    if (!one_length) {
        varint32(x, &len);
        if (len > EW_MAX_DATA) {
            fail(x, EW_BOUND);
        }
    }
    if (!advance(x, len)) {
        return;
    }
    if (!x->writes) {
        data->at = x->in + x->used - len;
        data->len = (uint16_t)len;
    } else if (len > 0) {
        memmove(x->out + x->used - len, data->at, len);
    }
}

ew_status ew_batch_push(ew_batch *batch, uint64_t uptime_ms, ew_bytes data) {
    if (uptime_ms < batch->uptime_ms || (batch->count == 0 && uptime_ms != batch->uptime_ms)) {
        return EW_ORDER;
    }
    if (batch->count == EW_BATCH_MOST) {
        return EW_BOUND;
    }
    uint64_t after_ms = uptime_ms - batch->uptime_ms;
    io x = writer(batch->buffer + batch->used, batch->room - batch->used);
    item_time(&x, &after_ms, false);
    item_data(&x, &data, false);
    if (x.status != EW_OK) {
        return x.status;
    }
    if (batch->count == 0) {
        batch->length = data.len;
    } else if (batch->count == 1) {
        batch->every_ms = after_ms;
        batch->one_time = after_ms < UINT64_MAX;
    } else if (batch->every_ms != after_ms) {
        batch->one_time = false;
    }
    if (batch->length != data.len) {
        batch->one_length = false;
    }
    batch->used += x.used;
    batch->uptime_ms = uptime_ms;
    batch->count++;
    return EW_OK;
}

/*
 * Writes the front and moves the items up to it, without what is said in front. Nothing is overwritten before it was
 * read: an item never grows, and the front fits into the room kept for it.
 */
size_t ew_batch_finish(ew_batch *batch) {
    io from = reader(batch->buffer, 0);
    io to = writer(batch->buffer + batch->count_at, batch->room - batch->count_at);
    from.in = batch->buffer + batch->count_at + 1 + HEADROOM;
    from.left = batch->used - batch->count_at - 1 - HEADROOM;
    u8(&to, &batch->count);
    put_varint(&to, batch->one_length ? (uint64_t)batch->length + 1 : 0);
    put_varint(&to, batch->one_time ? batch->every_ms + 1 : 0);
    for (unsigned i = 0; i < batch->count; i++) {
        uint64_t after_ms = 0;
        ew_bytes data = {NULL, 0};
        item_time(&from, &after_ms, false);
        item_data(&from, &data, false);
        item_time(&to, &after_ms, batch->one_time);
        item_data(&to, &data, batch->one_length);
    }
    return batch->count_at + to.used;
}

static void walk(io *x, ew_envelope *envelope);

ew_status ew_decode_events(const uint8_t *bytes, size_t len, ew_envelope *envelope) {
    io x = reader(bytes, len);
    uint8_t detail = 0;
    memset(envelope, 0, sizeof *envelope);
    event_head(&x, &envelope->head, &detail);
    if (x.status != EW_OK) {
        return x.status;
    }
    envelope->is_batch = (detail & BATCH) != 0;
    envelope->uptime_ms = envelope->head.uptime_ms;
    envelope->end = bytes + len;
    if (!envelope->is_batch) {
        if (x.left > EW_MAX_DATA) {
            return EW_BOUND;
        }
        envelope->count = 1;
        envelope->one_time = envelope->one_length = true;
        envelope->length = (uint16_t)x.left;
        envelope->next = bytes + x.used;
        return EW_OK;
    }
    walk(&x, envelope);
    return end(&x, NULL);
}

/* Reads the front of a batch and walks its items, so that reading them cannot fail. */
static void walk(io *x, ew_envelope *envelope) {
    uint32_t length = 0;
    u8(x, &envelope->count);
    if (x->status == EW_OK && envelope->count == 0) {
        fail(x, EW_COUNT);
    }
    varint32(x, &length);
    envelope->one_length = length > 0;
    if (length > EW_MAX_DATA + 1) {
        fail(x, EW_BOUND);
    }
    envelope->length = (uint16_t)(length > 0 ? length - 1 : 0);
    varint64(x, &envelope->every_ms);
    envelope->one_time = envelope->every_ms > 0;
    envelope->every_ms -= envelope->one_time ? 1 : 0;
    if (x->status != EW_OK) {
        return;
    }
    if (envelope->head.mark.seq > UINT64_MAX - (envelope->count - 1u)) {
        fail(x, EW_OVERFLOW);
    }
    envelope->next = x->in + x->used;
    uint64_t uptime_ms = envelope->head.uptime_ms;
    for (unsigned i = 0; i < envelope->count && x->status == EW_OK; i++) {
        uint64_t after_ms = i > 0 ? envelope->every_ms : 0;
        ew_bytes data = {NULL, envelope->length};
        item_time(x, &after_ms, envelope->one_time);
        if (i == 0 && after_ms > 0) {
            fail(x, EW_VALUE);
        }
        item_data(x, &data, envelope->one_length);
        if (after_ms > UINT64_MAX - uptime_ms) {
            fail(x, EW_OVERFLOW);
        }
        uptime_ms += after_ms;
    }
}

bool ew_next_event(ew_envelope *envelope, ew_event *event) {
    if (envelope->at == envelope->count) {
        return false;
    }
    io x = reader(envelope->next, (size_t)(envelope->end - envelope->next));
    uint64_t after_ms = envelope->at > 0 ? envelope->every_ms : 0;
    ew_bytes data = {NULL, envelope->length};
    item_time(&x, &after_ms, envelope->one_time);
    item_data(&x, &data, envelope->one_length);
    envelope->uptime_ms += after_ms;
    envelope->next += x.used;
    event->seq = envelope->head.mark.seq + envelope->at;
    event->uptime_ms = envelope->uptime_ms;
    event->data = data;
    envelope->at++;
    return x.status == EW_OK;
}

/* --- b/ ----------------------------------------------------------------------------------------------------------- */

static void field(io *x, ew_field *value) {
    text(x, &value->name);
    number(x, &value->scalar, EW_BYTES);
    number(x, &value->shape, EW_UP_TO);
    if (value->shape != EW_ONE) {
        varint16(x, &value->count);
    } else if (!x->writes) {
        value->count = 0;
    }
    if (value->scalar >= EW_TEXT && value->shape != EW_UP_TO) {
        fail(x, x->writes ? EW_BOUND : EW_VALUE);
    }
}

static void kinds(io *x, ew_kinds *value) {
    size_t pooled = 0;
    count(x, &value->count, value->capacity);
    for (unsigned i = 0; i < value->count && x->status == EW_OK; i++) {
        ew_kind *kind = &value->items[i];
        kind_id(x, &kind->id);
        text(x, &kind->type);
        varint16(x, &kind->version);
        if (!x->writes) {
            kind->fields = value->pool + pooled;
        }
        count(x, &kind->field_count, value->pool_capacity - pooled);
        for (unsigned j = 0; j < kind->field_count && x->status == EW_OK; j++) {
            field(x, &kind->fields[j]);
        }
        pooled += x->writes ? 0 : kind->field_count;
    }
}

/* Refuses a list in which two kinds share a number. */
static void check_ids(io *x, const ew_kinds *value) {
    for (unsigned i = 1; !x->writes && i < value->count && x->status == EW_OK; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (memcmp(value->items[i].id.id, value->items[j].id.id, sizeof(ew_kind_id)) == 0) {
                fail(x, EW_COUNT);
            }
        }
    }
}

static bool is_range(const ew_mark *from, const ew_mark *to) {
    return from->boot != to->boot ? from->boot < to->boot : from->seq <= to->seq;
}

static void stream_states(io *x, ew_stream_states *value) {
    count(x, &value->count, value->capacity);
    for (unsigned i = 0; i < value->count && x->status == EW_OK; i++) {
        ew_stream_state *state = &value->items[i];
        u32le(x, &state->incarnation);
        stream(x, &state->stream);
        mark(x, &state->last);
        mark(x, &state->oldest);
    }
}

static void dropped_list(io *x, ew_dropped_list *value) {
    count(x, &value->count, value->capacity);
    for (unsigned i = 0; i < value->count && x->status == EW_OK; i++) {
        ew_dropped *dropped = &value->items[i];
        u32le(x, &dropped->incarnation);
        stream(x, &dropped->stream);
        mark(x, &dropped->from);
        mark(x, &dropped->to);
        number(x, &dropped->reason, EW_LOST_REFUSED);
        if (!is_range(&dropped->from, &dropped->to)) {
            fail(x, x->writes ? EW_BOUND : EW_VALUE);
        }
    }
}

static void birth(io *x, ew_birth *value) {
    versions(x, &value->versions);
    u32le(x, &value->incarnation);
    varint32(x, &value->boot);
    varint64(x, &value->uptime_ms);
    text(x, &value->firmware);
    varint32(x, &value->configuration);
    u8(x, &value->kinds_announced);
    stream_states(x, &value->streams);
    dropped_list(x, &value->dropped);
    kinds(x, &value->kinds);
    check_ids(x, &value->kinds);
    if (value->kinds.count > value->kinds_announced) {
        fail(x, x->writes ? EW_BOUND : EW_COUNT);
    }
}

static void losses(io *x, ew_losses *value) {
    count(x, &value->count, value->capacity);
    for (unsigned i = 0; i < value->count && x->status == EW_OK; i++) {
        stream(x, &value->items[i].stream);
        number(x, &value->items[i].reason, EW_LOST_REFUSED);
        varint64(x, &value->items[i].count);
    }
}

static ew_status presence(io *x, ew_presence *value, size_t *len) {
    head_byte(x, &value->tag);
    if (x->status != EW_OK) {
        return x->status;
    }
    switch (value->tag) {
    case EW_BIRTH:
        birth(x, &value->birth);
        break;
    case EW_OFFLINE:
        u32le(x, &value->offline.incarnation);
        varint32(x, &value->offline.boot);
        break;
    case EW_REPORT:
        varint64(x, &value->report.uptime_ms);
        losses(x, &value->report.losses);
        break;
    case EW_RESULT:
        command_id(x, &value->result.id);
        number(x, &value->result.outcome, EW_INTERRUPTED);
        rest(x, &value->result.data, EW_MAX_RESULT);
        break;
    case EW_CONFIGURED:
        varint32(x, &value->configured.version);
        number(x, &value->configured.outcome, EW_UNDONE);
        break;
    case EW_KINDS:
        kinds(x, &value->kinds);
        check_ids(x, &value->kinds);
        break;
    default:
        fail(x, EW_MESSAGE);
    }
    return end(x, len);
}

ew_status ew_encode_presence(const ew_presence *value, uint8_t *into, size_t room, size_t *len) {
    io x = writer(into, room);
    ew_presence copy = *value;
    return presence(&x, &copy, len);
}

ew_status ew_decode_presence(const uint8_t *bytes, size_t len, ew_presence *value) {
    io x = reader(bytes, len);
    return presence(&x, value, NULL);
}

static uint32_t fnv(uint32_t hash, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 0x01000193u;
    }
    return hash;
}

ew_kind_id ew_kind_id_of(const ew_kind *kind) {
    uint8_t version[3] = {0, (uint8_t)kind->version, (uint8_t)(kind->version >> 8)};
    uint32_t hash = fnv(fnv(0x811c9dc5u, kind->type.at, kind->type.len), version, sizeof version);
    for (unsigned i = 0; i < kind->field_count; i++) {
        const ew_field *f = &kind->fields[i];
        uint16_t n = f->shape == EW_ONE ? 1 : f->count;
        uint8_t detail[5] = {0, f->scalar, f->shape, (uint8_t)n, (uint8_t)(n >> 8)};
        hash = fnv(fnv(hash, f->name.at, f->name.len), detail, sizeof detail);
    }
    ew_kind_id id = {{(uint8_t)(hash ^ hash >> 16), (uint8_t)(hash >> 8 ^ hash >> 24)}};
    return id;
}

/* --- a/ ----------------------------------------------------------------------------------------------------------- */

static void stored_list(io *x, ew_stored_list *value) {
    count(x, &value->count, value->capacity);
    for (unsigned i = 0; i < value->count && x->status == EW_OK; i++) {
        u32le(x, &value->items[i].incarnation);
        stream(x, &value->items[i].stream);
        mark(x, &value->items[i].mark);
    }
}

static void welcome(io *x, ew_answer *value) {
    uint8_t has_time = value->welcome.has_time ? 1 : 0;
    u8(x, &value->welcome.version);
    number(x, &has_time, 1);
    value->welcome.has_time = has_time == 1;
    if (value->welcome.has_time) {
        varint64(x, &value->welcome.time_ms);
    }
    varint32(x, &value->welcome.configuration);
    stored_list(x, &value->stored);
}

static ew_status answer(io *x, ew_answer *value, size_t *len) {
    head_byte(x, &value->tag);
    if (x->status != EW_OK) {
        return x->status;
    }
    switch (value->tag) {
    case EW_WELCOME:
        welcome(x, value);
        break;
    case EW_ACK:
        stored_list(x, &value->stored);
        break;
    case EW_BIRTH_WANTED:
        number(x, &value->birth_wanted, EW_JUMP);
        break;
    case EW_NO_VERSION:
        versions(x, &value->no_version);
        break;
    case EW_REFUSED:
        u32le(x, &value->refused.incarnation);
        stream(x, &value->refused.stream);
        mark(x, &value->refused.mark);
        number(x, &value->refused.reason, EW_NOT_ALLOWED);
        varint32(x, &value->refused.after_ms);
        break;
    case EW_BIRTH_REFUSED:
        number(x, &value->birth_refused.reason, EW_BIRTH_NO_ROOM);
        if (value->birth_refused.reason == EW_CHANGED || value->birth_refused.reason == EW_TWIN) {
            kind_id(x, &value->birth_refused.kind);
        }
        varint32(x, &value->birth_refused.after_ms);
        break;
    default:
        fail(x, EW_MESSAGE);
    }
    return end(x, len);
}

ew_status ew_encode_answer(const ew_answer *value, uint8_t *into, size_t room, size_t *len) {
    io x = writer(into, room);
    ew_answer copy = *value;
    return answer(&x, &copy, len);
}

ew_status ew_decode_answer(const uint8_t *bytes, size_t len, ew_answer *value) {
    io x = reader(bytes, len);
    return answer(&x, value, NULL);
}

/* --- c/ ----------------------------------------------------------------------------------------------------------- */

static ew_status command(io *x, ew_command *value, size_t *len) {
    head_byte(x, &value->tag);
    if (x->status != EW_OK) {
        return x->status;
    }
    switch (value->tag) {
    case EW_RUN:
        command_id(x, &value->run.id);
        text(x, &value->run.name);
        break;
    case EW_CONFIGURE:
        varint32(x, &value->configure.version);
        break;
    default:
        fail(x, EW_MESSAGE);
    }
    rest(x, &value->data, EW_MAX_DATA);
    return end(x, len);
}

ew_status ew_encode_command(const ew_command *value, uint8_t *into, size_t room, size_t *len) {
    io x = writer(into, room);
    ew_command copy = *value;
    return command(&x, &copy, len);
}

ew_status ew_decode_command(const uint8_t *bytes, size_t len, ew_command *value) {
    io x = reader(bytes, len);
    return command(&x, value, NULL);
}

/* --- the data of an event ----------------------------------------------------------------------------------------- */

static void put(ew_data *data, const void *bytes, size_t len) {
    if (data->status != EW_OK || data->room - data->used < len) {
        data->status = EW_ROOM;
        return;
    }
    if (len > 0) {
        memcpy(data->at + data->used, bytes, len);
        data->used += len;
    }
}

void ew_put_byte(ew_data *data, uint8_t value) {
    put(data, &value, 1);
}

void ew_put_unsigned(ew_data *data, uint64_t value) {
    io x = writer(data->at + data->used, data->room - data->used);
    put_varint(&x, value);
    data->used += data->status == EW_OK ? x.used : 0;
    if (x.status != EW_OK) {
        data->status = x.status;
    }
}

void ew_put_signed(ew_data *data, int64_t value) {
    uint64_t bits = (uint64_t)value;
    ew_put_unsigned(data, value < 0 ? ~(bits << 1) : bits << 1);
}

static void put_little_endian(ew_data *data, uint64_t bits, size_t len) {
    for (size_t i = 0; i < len; i++) {
        ew_put_byte(data, (uint8_t)(bits >> (8 * i)));
    }
}

void ew_put_f32(ew_data *data, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_little_endian(data, bits, sizeof bits);
}

void ew_put_f64(ew_data *data, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_little_endian(data, bits, sizeof bits);
}

void ew_put_run(ew_data *data, const void *bytes, uint16_t len) {
    ew_put_unsigned(data, len);
    put(data, bytes, len);
}
