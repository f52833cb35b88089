/*
 * What devices and the node say to each other, in C99: no malloc, no statics, no dependencies but memcpy and memmove.
 *
 * The bytes are specified in the documentation of the Rust crate `wire`, of which this is the twin: both pass the same
 * vectors (../tests/vectors) and answer the same to broken bytes.
 *
 *   device -- d/<id> --> node    ew_encode_event, ew_batch_*      ew_decode_events
 *          -- b/<id> -->         ew_encode_presence               ew_decode_presence
 *          <-- a/<id> --         ew_encode_answer                 ew_decode_answer
 *          <-- c/<id> --         ew_encode_command                ew_decode_command
 *
 * What is decoded points into the bytes it was decoded from. Lists are written to and read from arrays of the caller,
 * who sets `items` and, for reading, `capacity`.
 */
#ifndef EDGE_WIRE_H
#define EDGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    EW_VERSION = 1,
    EW_MAX_TEXT = 64,
    EW_MAX_DATA = 4096,
    EW_MAX_RESULT = 1024,
    EW_MAX_ITEMS = 127,
    EW_MAX_MESSAGE = 65535,
    EW_STREAMS = 8,
    EW_BATCH_MOST = 255
};

typedef enum {
    EW_OK,
    EW_SHORT,    /* the bytes end within the message */
    EW_VERSIONS, /* another version of the format */
    EW_MESSAGE,  /* no such message on this topic */
    EW_VALUE,    /* a value out of its range, or text that is not UTF-8 */
    EW_BOUND,    /* a text, data, a list to be written or the message is too long */
    EW_COUNT,    /* a list with too many items, a batch of none, or something named twice */
    EW_OVERFLOW, /* a sequence or a time that runs over the end of its type */
    EW_TRAILING, /* bytes after the end of the message */
    EW_ROOM,     /* the buffer, or an array of the caller, is too small */
    EW_ORDER     /* an event of a batch is older than the one before it */
} ew_status;

typedef struct { const char *at; uint8_t len; } ew_text;
typedef struct { const uint8_t *at; uint16_t len; } ew_bytes;
typedef struct { uint8_t id[2]; } ew_kind_id;

/* A place in a stream: boot and sequence, both from 1; (0, 0) is before every event. */
typedef struct { uint32_t boot; uint64_t seq; } ew_mark;

/* --- d/: events ------------------------------------------------------------------------------------------------- */

typedef struct {
    bool foreign;         /* of another incarnation than the birth's, */
    uint32_t incarnation; /* which this is then */
    uint8_t stream;
    ew_mark mark;
    uint64_t uptime_ms;
    ew_kind_id kind;
} ew_head;

typedef struct { uint64_t seq; uint64_t uptime_ms; ew_bytes data; } ew_event;

/* Writes one event; its length goes to *len. */
ew_status ew_encode_event(const ew_head *head, ew_bytes data, uint8_t *into, size_t room, size_t *len);

/* A batch on its way: events of one kind with sequences that follow each other. Its fields are its own affair. */
typedef struct {
    uint8_t *buffer;
    size_t room, used, count_at;
    uint64_t uptime_ms, every_ms;
    uint16_t length;
    uint8_t count;
    bool one_length, one_time;
} ew_batch;

/* `first` describes the first event to be pushed. The buffer needs up to two bytes an event more than the message. */
ew_status ew_batch_begin(ew_batch *batch, const ew_head *first, uint8_t *into, size_t room);
/* Adds the next event; the first one has the time of the head. After an error the batch is as it was before. */
ew_status ew_batch_push(ew_batch *batch, uint64_t uptime_ms, ew_bytes data);
/* The length of the whole message, which must hold at least one event. */
size_t ew_batch_finish(ew_batch *batch);

/* A decoded message of d/<id>; the fields after `count` are its own affair. */
typedef struct {
    ew_head head;
    bool is_batch;
    uint8_t count;
    uint8_t at;
    bool one_length, one_time;
    uint16_t length;
    uint64_t every_ms, uptime_ms;
    const uint8_t *next;
    const uint8_t *end;
} ew_envelope;

ew_status ew_decode_events(const uint8_t *bytes, size_t len, ew_envelope *envelope);
/* The events in their order; false after the last. */
bool ew_next_event(ew_envelope *envelope, ew_event *event);

/* --- b/: what a device says of itself ----------------------------------------------------------------------------- */

typedef enum {
    EW_BOOL, EW_U8, EW_U16, EW_U32, EW_U64, EW_I8, EW_I16, EW_I32, EW_I64, EW_F32, EW_F64, EW_TEXT, EW_BYTES
} ew_scalar;

typedef enum { EW_ONE, EW_ARRAY, EW_UP_TO } ew_shape;

typedef struct { ew_text name; uint8_t scalar; uint8_t shape; uint16_t count; } ew_field;

typedef struct {
    ew_kind_id id;
    ew_text type;
    uint16_t version;
    ew_field *fields;
    uint8_t field_count;
} ew_kind;

/* The id of a kind as every implementation computes it; any other number of one kind alone will do. */
ew_kind_id ew_kind_id_of(const ew_kind *kind);

typedef struct { uint32_t incarnation; uint8_t stream; ew_mark last, oldest; } ew_stream_state;

typedef enum { EW_LOST_RING, EW_LOST_OUTBOX, EW_LOST_UNREADABLE, EW_LOST_REFUSED } ew_loss_reason;

typedef struct { uint32_t incarnation; uint8_t stream; ew_mark from, to; uint8_t reason; } ew_dropped;
typedef struct { uint8_t stream; uint8_t reason; uint64_t count; } ew_loss;

typedef struct { ew_stream_state *items; uint8_t count, capacity; } ew_stream_states;
typedef struct { ew_dropped *items; uint8_t count, capacity; } ew_dropped_list;
typedef struct { ew_loss *items; uint8_t count, capacity; } ew_losses;
/* For reading, the fields of all kinds go to `pool`. */
typedef struct { ew_kind *items; uint8_t count, capacity; ew_field *pool; size_t pool_capacity; } ew_kinds;

typedef struct { uint8_t oldest, newest; } ew_versions;

typedef struct {
    ew_versions versions;
    uint32_t incarnation, boot;
    uint64_t uptime_ms;
    ew_text firmware;
    uint32_t configuration;
    uint8_t kinds_announced;
    ew_stream_states streams;
    ew_dropped_list dropped;
    ew_kinds kinds;
} ew_birth;

typedef struct { uint32_t origin; uint64_t seq; } ew_command_id;

typedef enum {
    EW_DONE, EW_FAILED, EW_UNKNOWN, EW_MALFORMED, EW_FORGOTTEN, EW_INTERRUPTED
} ew_outcome;

typedef enum { EW_APPLIED, EW_NOT_READ, EW_UNDONE } ew_configured;

typedef enum {
    EW_BIRTH, EW_OFFLINE, EW_REPORT, EW_RESULT, EW_CONFIGURED, EW_KINDS
} ew_presence_tag;

typedef struct {
    uint8_t tag; /* an ew_presence_tag; the member of that name counts */
    ew_birth birth;
    struct { uint32_t incarnation, boot; } offline;
    struct { uint64_t uptime_ms; ew_losses losses; } report;
    struct { ew_command_id id; uint8_t outcome; ew_bytes data; } result;
    struct { uint32_t version; uint8_t outcome; } configured;
    ew_kinds kinds;
} ew_presence;

ew_status ew_encode_presence(const ew_presence *presence, uint8_t *into, size_t room, size_t *len);
/* Set items, capacity and pool of the lists that may come before. */
ew_status ew_decode_presence(const uint8_t *bytes, size_t len, ew_presence *presence);

/* --- a/: what the node answers ------------------------------------------------------------------------------------ */

typedef struct { uint32_t incarnation; uint8_t stream; ew_mark mark; } ew_stored;
typedef struct { ew_stored *items; uint8_t count, capacity; } ew_stored_list;

typedef enum { EW_MISSING, EW_UNKNOWN_KIND, EW_JUMP } ew_birth_reason;
typedef enum { EW_NO_ROOM, EW_RATE, EW_BAD_DATA, EW_TOO_LARGE, EW_NOT_ALLOWED } ew_refusal;
typedef enum { EW_TOO_MANY_DEVICES, EW_CHANGED, EW_TWIN, EW_TOO_MANY_LISTED, EW_BIRTH_NO_ROOM } ew_birth_refusal;

typedef enum {
    EW_WELCOME, EW_ACK, EW_BIRTH_WANTED, EW_NO_VERSION, EW_REFUSED, EW_BIRTH_REFUSED
} ew_answer_tag;

typedef struct {
    uint8_t tag; /* an ew_answer_tag; the member of that name counts */
    struct {
        uint8_t version;
        bool has_time;
        uint64_t time_ms;
        uint32_t configuration;
    } welcome;
    ew_stored_list stored; /* of EW_WELCOME and EW_ACK */
    uint8_t birth_wanted;  /* an ew_birth_reason */
    ew_versions no_version;
    struct { uint32_t incarnation; uint8_t stream; ew_mark mark; uint8_t reason; uint32_t after_ms; } refused;
    struct { uint8_t reason; ew_kind_id kind; uint32_t after_ms; } birth_refused;
} ew_answer;

ew_status ew_encode_answer(const ew_answer *answer, uint8_t *into, size_t room, size_t *len);
/* Set items and capacity of `stored` before. */
ew_status ew_decode_answer(const uint8_t *bytes, size_t len, ew_answer *answer);

/* --- c/: commands and configurations ------------------------------------------------------------------------------ */

typedef enum { EW_RUN, EW_CONFIGURE } ew_command_tag;

typedef struct {
    uint8_t tag; /* an ew_command_tag */
    struct { ew_command_id id; ew_text name; } run;
    struct { uint32_t version; } configure;
    ew_bytes data;
} ew_command;

ew_status ew_encode_command(const ew_command *command, uint8_t *into, size_t room, size_t *len);
ew_status ew_decode_command(const uint8_t *bytes, size_t len, ew_command *command);

/* --- the data of an event ----------------------------------------------------------------------------------------- */

/* Writes fields one after the other, as the kind lists them; the first error stays in `status`. */
typedef struct { uint8_t *at; size_t room, used; ew_status status; } ew_data;

void ew_put_byte(ew_data *data, uint8_t value);       /* bool, u8, i8 */
void ew_put_unsigned(ew_data *data, uint64_t value);  /* u16, u32, u64, and the count of a list */
void ew_put_signed(ew_data *data, int64_t value);     /* i16, i32, i64 */
void ew_put_f32(ew_data *data, float value);
void ew_put_f64(ew_data *data, double value);
void ew_put_run(ew_data *data, const void *bytes, uint16_t len); /* text and bytes */

#ifdef __cplusplus
}
#endif

#endif
