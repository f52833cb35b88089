/*
 * Answers line by line for the test that drives it (../tests/wire/c.rs):
 *
 *   d|b|a|c HEX   decodes a message of that topic and encodes it again: "ok HEX", or the name of the error
 *   make NAME     encodes the message of that vector from the values below: "ok HEX"
 */
#include "edge_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2 * EW_MAX_MESSAGE };

static const char *const NAMES[] = {
    "ok", "short", "version", "message", "value", "bound", "count", "overflow", "trailing", "room", "order"
};

static uint8_t in[EW_MAX_MESSAGE + 1], out[MOST];
static ew_field pool[EW_MAX_ITEMS * EW_MAX_ITEMS];
static ew_kind kind_items[EW_MAX_ITEMS];
static ew_stream_state states[EW_MAX_ITEMS];
static ew_dropped dropped[EW_MAX_ITEMS];
static ew_loss losses[EW_MAX_ITEMS];
static ew_stored stored[EW_MAX_ITEMS];

static ew_text text(const char *s) {
    ew_text t = {s, (uint8_t)strlen(s)};
    return t;
}

static ew_bytes bytes(const char *s, uint16_t len) {
    ew_bytes b = {(const uint8_t *)s, len};
    return b;
}

static void print(ew_status status, size_t len) {
    fputs(NAMES[status], stdout);
    if (status == EW_OK) {
        putchar(' ');
        for (size_t i = 0; i < len; i++) {
            printf("%02x", (unsigned)out[i]);
        }
    }
    putchar('\n');
}

/* --- decode and encode again -------------------------------------------------------------------------------------- */

static ew_status again_events(size_t len, size_t *written) {
    ew_envelope envelope;
    ew_event event;
    ew_status status = ew_decode_events(in, len, &envelope);
    if (status != EW_OK) {
        return status;
    }
    if (!envelope.is_batch) {
        return ew_next_event(&envelope, &event)
            ? ew_encode_event(&envelope.head, event.data, out, MOST, written) : EW_COUNT;
    }
    ew_batch batch;
    status = ew_batch_begin(&batch, &envelope.head, out, MOST);
    while (status == EW_OK && ew_next_event(&envelope, &event)) {
        status = ew_batch_push(&batch, event.uptime_ms, event.data);
    }
    *written = ew_batch_finish(&batch);
    return status;
}

static ew_kinds room_for_kinds(void) {
    ew_kinds kinds = {kind_items, 0, EW_MAX_ITEMS, pool, EW_MAX_ITEMS * EW_MAX_ITEMS};
    return kinds;
}

static ew_presence room_for_presence(void) {
    ew_presence presence;
    memset(&presence, 0, sizeof presence);
    presence.birth.streams.items = states;
    presence.birth.streams.capacity = EW_MAX_ITEMS;
    presence.birth.dropped.items = dropped;
    presence.birth.dropped.capacity = EW_MAX_ITEMS;
    presence.report.losses.items = losses;
    presence.report.losses.capacity = EW_MAX_ITEMS;
    presence.birth.kinds = room_for_kinds();
    presence.kinds = room_for_kinds();
    return presence;
}

static ew_answer room_for_answer(void) {
    ew_answer answer;
    memset(&answer, 0, sizeof answer);
    answer.stored.items = stored;
    answer.stored.capacity = EW_MAX_ITEMS;
    return answer;
}

static void again(char topic, size_t len) {
    ew_status status = EW_MESSAGE;
    size_t written = 0;
    if (topic == 'd') {
        status = again_events(len, &written);
    } else if (topic == 'b') {
        ew_presence presence = room_for_presence();
        status = ew_decode_presence(in, len, &presence);
        status = status == EW_OK ? ew_encode_presence(&presence, out, MOST, &written) : status;
    } else if (topic == 'a') {
        ew_answer answer = room_for_answer();
        status = ew_decode_answer(in, len, &answer);
        status = status == EW_OK ? ew_encode_answer(&answer, out, MOST, &written) : status;
    } else if (topic == 'c') {
        ew_command command;
        memset(&command, 0, sizeof command);
        status = ew_decode_command(in, len, &command);
        status = status == EW_OK ? ew_encode_command(&command, out, MOST, &written) : status;
    }
    print(status, written);
}

/* --- the vectors -------------------------------------------------------------------------------------------------- */

static const uint32_t INCARNATION = 0xc0ffee01, EARLIER = 0xc0ffee00;

static ew_mark mark(uint32_t boot, uint64_t seq) {
    ew_mark m = {boot, seq};
    return m;
}

static ew_kinds make_kinds(void) {
    ew_kinds kinds = room_for_kinds();
    static ew_field alarm[1], reading[2];
    alarm[0].name = text("text");
    alarm[0].scalar = EW_TEXT;
    alarm[0].shape = EW_UP_TO;
    alarm[0].count = 32;
    reading[0].name = text("celsius");
    reading[0].scalar = EW_F32;
    reading[0].shape = EW_ONE;
    reading[1].name = text("bar");
    reading[1].scalar = EW_U16;
    reading[1].shape = EW_ARRAY;
    reading[1].count = 3;
    kind_items[0].type = text("pump.alarm");
    kind_items[0].version = 1;
    kind_items[0].fields = alarm;
    kind_items[0].field_count = 1;
    kind_items[1].type = text("pump.reading");
    kind_items[1].version = 2;
    kind_items[1].fields = reading;
    kind_items[1].field_count = 2;
    kinds.count = 2;
    for (unsigned i = 0; i < kinds.count; i++) {
        kind_items[i].id = ew_kind_id_of(&kind_items[i]);
    }
    return kinds;
}

static ew_head make_head(void) {
    ew_head head = {false, 0, 3, {7, 300}, 90000000, {{0xd4, 0x7a}}};
    return head;
}

static ew_status make_batch(const uint64_t times[3], const ew_bytes data[3], size_t *len) {
    ew_batch batch;
    ew_head head = make_head();
    ew_status status = ew_batch_begin(&batch, &head, out, MOST);
    for (unsigned i = 0; i < 3 && status == EW_OK; i++) {
        status = ew_batch_push(&batch, times[i], data[i]);
    }
    *len = ew_batch_finish(&batch);
    return status;
}

static ew_status make_events(const char *name, size_t *len) {
    ew_head head = make_head();
    const ew_bytes pairs[3] = {bytes("\1\2", 2), bytes("\3\4", 2), bytes("\5\6", 2)};
    const ew_bytes loose[3] = {bytes("\1\2\3", 3), bytes("", 0), bytes("\4", 1)};
    const uint64_t steady_times[3] = {90000000, 90001000, 90002000};
    const uint64_t loose_times[3] = {90000000, 90001000, 90001200};
    const uint64_t times[3] = {90000000, 90001000, 90002001};
    if (strcmp(name, "event") == 0) {
        return ew_encode_event(&head, bytes("\1\2\3", 3), out, MOST, len);
    }
    if (strcmp(name, "event-earlier") == 0) {
        head.foreign = true;
        head.incarnation = EARLIER;
        return ew_encode_event(&head, bytes("", 0), out, MOST, len);
    }
    if (strcmp(name, "batch") == 0) {
        return make_batch(steady_times, pairs, len);
    }
    if (strcmp(name, "batch-loose") == 0) {
        return make_batch(loose_times, loose, len);
    }
    return strcmp(name, "batch-times") == 0 ? make_batch(times, pairs, len) : EW_MESSAGE;
}

static void make_birth(ew_birth *birth) {
    ew_stream_state earlier = {EARLIER, 3, {6, 299}, {5, 12}}, own = {INCARNATION, 3, {0, 0}, {7, 1}};
    ew_dropped lost = {EARLIER, 3, {5, 20}, {6, 2}, EW_LOST_UNREADABLE};
    birth->versions.oldest = birth->versions.newest = 1;
    birth->incarnation = INCARNATION;
    birth->boot = 7;
    birth->uptime_ms = 1500;
    birth->firmware = text("1.4.2");
    birth->configuration = 4;
    birth->kinds_announced = 2;
    states[0] = earlier;
    states[1] = own;
    birth->streams.count = 2;
    dropped[0] = lost;
    birth->dropped.count = 1;
    birth->kinds = make_kinds();
}

static ew_status make_presence(const char *name, size_t *len) {
    static const char *const TAGS[] = {"birth", "offline", "report", "result", "configured", "kinds"};
    ew_presence p = room_for_presence();
    while (p.tag < 6 && strcmp(name, TAGS[p.tag]) != 0) {
        p.tag++;
    }
    make_birth(&p.birth);
    p.offline.incarnation = INCARNATION;
    p.offline.boot = 7;
    ew_loss outbox = {0, EW_LOST_OUTBOX, 1000}, ring = {3, EW_LOST_RING, 2};
    losses[0] = outbox;
    losses[1] = ring;
    p.report.uptime_ms = 1500;
    p.report.losses.count = 2;
    p.result.id.origin = 0x0badcafe;
    p.result.id.seq = 129;
    p.result.outcome = EW_FAILED;
    p.result.data = bytes("stuck", 5);
    p.configured.version = 5;
    p.configured.outcome = EW_UNDONE;
    p.kinds = make_kinds();
    p.kinds.items++;
    p.kinds.count = 1;
    return ew_encode_presence(&p, out, MOST, len);
}

static ew_status make_answer(const char *name, size_t *len) {
    static const char *const TAGS[] = {"welcome", "ack", "birth-wanted", "no-version", "refused", "birth-refused"};
    ew_answer a = room_for_answer();
    bool no_room = strcmp(name, "birth-no-room") == 0;
    while (a.tag < 6 && strcmp(no_room ? "birth-refused" : name, TAGS[a.tag]) != 0) {
        a.tag++;
    }
    ew_stored earlier = {EARLIER, 3, {6, 299}}, own = {INCARNATION, 0, {7, 1}};
    stored[0] = earlier;
    stored[1] = own;
    a.stored.count = 2;
    a.welcome.version = 1;
    a.welcome.has_time = true;
    a.welcome.time_ms = 1795000000000;
    a.welcome.configuration = 5;
    a.birth_wanted = EW_JUMP;
    a.no_version.oldest = 1;
    a.no_version.newest = 3;
    a.refused.incarnation = INCARNATION;
    a.refused.stream = 3;
    a.refused.mark = mark(7, 300);
    a.refused.reason = EW_NO_ROOM;
    a.refused.after_ms = 5000;
    a.birth_refused.reason = no_room ? EW_BIRTH_NO_ROOM : EW_CHANGED;
    a.birth_refused.kind.id[0] = 0x12;
    a.birth_refused.kind.id[1] = 0x34;
    a.birth_refused.after_ms = no_room ? 10000 : 60000;
    return ew_encode_answer(&a, out, MOST, len);
}

static ew_status make_command(const char *name, size_t *len) {
    ew_command c;
    memset(&c, 0, sizeof c);
    if (strcmp(name, "command") == 0) {
        c.tag = EW_RUN;
        c.run.id.origin = 0x0badcafe;
        c.run.id.seq = 129;
        c.run.name = text("valve.open");
        c.data = bytes("\1\2", 2);
    } else if (strcmp(name, "configure") == 0) {
        c.tag = EW_CONFIGURE;
        c.configure.version = 5;
        c.data = bytes("\11\10\7", 3);
    } else {
        return EW_MESSAGE;
    }
    return ew_encode_command(&c, out, MOST, len);
}

/* The struct of the test `c_writes_the_data_that_rust_writes`. */
static ew_status make_data(const char *name, size_t *len) {
    ew_data data = {out, MOST, 0, EW_OK};
    if (strcmp(name, "data") != 0) {
        return EW_MESSAGE;
    }
    ew_put_byte(&data, 1);
    ew_put_unsigned(&data, 300);
    ew_put_signed(&data, -1);
    ew_put_signed(&data, INT64_MIN);
    ew_put_signed(&data, 64);
    ew_put_f32(&data, 1.5f);
    ew_put_f64(&data, -2.25);
    ew_put_run(&data, "warm", 4);
    *len = data.used;
    return data.status;
}

static void make(const char *name) {
    ew_status (*const makers[])(const char *, size_t *) = {
        make_events, make_presence, make_answer, make_command, make_data
    };
    ew_status status = EW_MESSAGE;
    size_t len = 0;
    for (unsigned i = 0; i < sizeof makers / sizeof *makers && status == EW_MESSAGE; i++) {
        status = makers[i](name, &len);
    }
    print(status, len);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static size_t parse(const char *hex) {
    size_t len = 0;
    for (; hex[0] > ' ' && hex[1] > ' ' && len < sizeof in; hex += 2) {
        const char byte[3] = {hex[0], hex[1], 0};
        in[len++] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return len;
}

int main(void) {
    static char line[2 * MOST];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "make ", 5) == 0) {
            make(line + 5);
        } else {
            again(line[0], parse(line + (line[1] == ' ' ? 2 : 1)));
        }
    }
    return 0;
}
