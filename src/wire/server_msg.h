/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/server_msg.h - what a task and the name server say to each other
 *
 * One message is one packet of a SOCK_SEQPACKET socket: struct ptl_server_head, then the body of its
 * type, then (for some) a name of head.name_size bytes without a NUL. Both ends are on one machine:
 * native byte order, fixed widths, explicit padding. A packet carries at most one descriptor.
 *
 * A task speaks first: HELLO, and nothing else before WELCOME. Requests carry a serial that the
 * answer repeats; the server answers each request once, in any order. Events have serial 0.
 * docs/protocol/server.md has the state machines and the crash table.
 */
#pragma once
#include <portolan/outcome.h>
#include <portolan/types.h>
#include <stddef.h>
#include <stdint.h>

enum {
        PTL_SERVER_MAGIC = 0x4c545031, /* "1PTL" */
        PTL_SERVER_PROTOCOL = 1,
        PTL_SERVER_NAME_MAX = 255,
        PTL_SERVER_PACKET_MAX = 1024,
};

enum ptl_server_type {
        /* task to server */
        PTL_SM_HELLO = 1,  /* body hello. Answer: WELCOME, or RESULT PTL_E_VERSION and the end */
        PTL_SM_PUBLISH,    /* body publish, name; a region with its memfd. Answer: RESULT */
        PTL_SM_WITHDRAW,   /* name. Answer: RESULT */
        PTL_SM_LOOK_UP,    /* body look_up, name. Answer: FOUND (maybe a descriptor) or RESULT */
        PTL_SM_CANCEL,     /* body cancel: give up waiting for an answer to LOOK_UP. Answer: RESULT
                              for the CANCEL; the LOOK_UP is then never answered (or was before) */
        PTL_SM_INTRODUCE,  /* body task. Answer: FOUND kind 0 with a socket, or RESULT (NOT_FOUND) */
        PTL_SM_WATCH,      /* body watch, name = prefix (may be empty). Answer: RESULT, events follow:
                              first ADDED for every name that is there */
        PTL_SM_UNWATCH,    /* body watch. Answer: RESULT */
        PTL_SM_LIST,       /* body list. Answer: ITEM..., then RESULT */
        PTL_SM_STATUS,     /* Answer: STATUS_REPLY */
        PTL_SM_LODGE,      /* with the task's board (wire/board.h). Answer: RESULT */
        PTL_SM_INSPECT,    /* body process. Answer: VIEW, with the board if there is one, or RESULT */
        PTL_SM_TRACE,      /* body process. Answer: TRACING with a socket, or RESULT */
        PTL_SM_ASSERTED,   /* to a server that recalled it: it has said all its names and watches. Answer: RESULT */
        /* server to task */
        PTL_SM_WELCOME = 64,  /* body welcome */
        PTL_SM_RESULT,        /* body result */
        PTL_SM_FOUND,         /* body found; a socket (link != 0) or a region's memfd */
        PTL_SM_ITEM,          /* body item, name */
        PTL_SM_STATUS_REPLY,  /* body status */
        PTL_SM_INTRODUCTION,  /* event: body introduction, with a socket */
        PTL_SM_NAME_ADDED,    /* event: body watch, name */
        PTL_SM_NAME_REMOVED,  /* event: body watch, name */
        PTL_SM_TASK_DEAD,     /* event: body task: a task that was introduced to this one is dead */
        PTL_SM_VIEW,          /* body view */
        PTL_SM_TRACING,       /* with a socket that the task's lines come from */
        PTL_SM_WATCHED,       /* event: with a socket: write a line for each message into it */
};

struct ptl_server_head {
        uint32_t magic;     /* PTL_SERVER_MAGIC */
        uint16_t type;      /* enum ptl_server_type */
        uint16_t name_size; /* bytes of the name after the body */
        uint32_t serial;    /* of the request; 0 in events */
        uint32_t body_size; /* bytes of the body */
};

enum {
        PTL_SM_LOOKS = 1,    /* of HELLO: it only lists and looks: LIST, STATUS, INSPECT, TRACE */
        PTL_SM_RECALLED = 1, /* of WELCOME: its names and watches are known from the server before */
};

struct ptl_sm_hello {
        uint32_t protocol;
        uint32_t reserved;
        uint64_t features;           /* PTL_SM_LOOKS; bits that are not known are let pass */
        char command[16];            /* comm, NUL-padded */
};

struct ptl_sm_welcome {
        uint32_t protocol;
        uint32_t reserved;
        uint64_t features; /* PTL_SM_RECALLED */
        struct ptl_identity you;
        struct ptl_identity server; /* task id 0 */
        char version[16];
};

struct ptl_sm_result {
        int32_t outcome; /* 0, enum ptl_outcome, or -errno */
        uint32_t reserved;
};

enum { PTL_SM_KIND_NONE, PTL_SM_KIND_PORT, PTL_SM_KIND_REGION };

struct ptl_sm_publish {
        uint32_t kind;           /* PTL_SM_KIND_* */
        uint32_t limit_messages; /* window a holder may use at once */
        uint64_t limit_bytes;
        uint64_t ticket; /* what the port's receiver will accept as a claim; 0 for a region */
        uint64_t size;   /* of a region, bytes */
};

struct ptl_sm_look_up {
        uint32_t wait; /* 1: answer when the name is published; 0: at once */
        uint32_t reserved;
};

struct ptl_sm_cancel {
        uint32_t serial; /* of the LOOK_UP */
        uint32_t reserved;
};

struct ptl_sm_task {
        struct ptl_task_id id;
};

struct ptl_sm_found {
        uint32_t kind; /* PTL_SM_KIND_* ; NONE in the answer to INTRODUCE */
        uint32_t link; /* 1: the descriptor is a new link's socket; 0: none, the two have met before or
                          are the same task */
        struct ptl_identity owner;
        uint64_t ticket;
        uint64_t limit_bytes;
        uint32_t limit_messages;
        uint32_t reserved;
        uint64_t size;
};

struct ptl_sm_introduction {
        struct ptl_identity peer;
};

struct ptl_sm_watch {
        uint64_t cookie; /* the task's; one watch a cookie, a new one replaces it */
};

enum { PTL_SM_LIST_NAMES = 1, PTL_SM_LIST_TASKS, PTL_SM_LIST_LINKS };

struct ptl_sm_list {
        uint32_t what;
        uint32_t reserved;
};

struct ptl_sm_item {
        uint32_t what; /* as in the request */
        uint32_t kind; /* of a name */
        struct ptl_identity a;
        struct ptl_identity b;
        uint64_t size;
        uint32_t links;
        uint32_t names;
        char command[16];
};

struct ptl_sm_status {
        struct ptl_identity server;
        char version[16];
        uint32_t protocol;
        uint32_t tasks;
        uint32_t names;
        uint32_t tasks_max;
        uint64_t introductions;
        uint64_t uptime_ns;
        uint32_t names_max; /* of one task */
        uint32_t look_ups_max;
        uint32_t descriptors; /* that the server has open, about */
        uint32_t descriptors_max;
};

struct ptl_sm_process {
        int32_t pid;
        uint32_t reserved;
};

/* What the server holds for a task; its board comes beside it. */
struct ptl_sm_view {
        struct ptl_identity task;
        char command[16];
        uint32_t has_board; /* 1: a descriptor comes with it */
        uint32_t names, links, look_ups, watches;
        uint32_t output_bytes, output_descriptors;
        uint32_t descriptors;
};

_Static_assert(sizeof(struct ptl_server_head) == 16, "layout");
_Static_assert(sizeof(struct ptl_identity) == 40, "layout");
_Static_assert(sizeof(struct ptl_sm_hello) == 32, "layout");
_Static_assert(sizeof(struct ptl_sm_welcome) == 112, "layout");
_Static_assert(sizeof(struct ptl_sm_publish) == 32, "layout");
_Static_assert(sizeof(struct ptl_sm_found) == 80, "layout");
_Static_assert(sizeof(struct ptl_sm_item) == 120, "layout");
_Static_assert(sizeof(struct ptl_sm_status) == 104, "layout");
_Static_assert(sizeof(struct ptl_sm_view) == 88, "layout");

/* A decoded message: a private copy, checked; the name is NUL-terminated. */
struct ptl_server_msg {
        enum ptl_server_type type;
        uint32_t serial;
        union {
                struct ptl_sm_hello hello;
                struct ptl_sm_welcome welcome;
                struct ptl_sm_result result;
                struct ptl_sm_publish publish;
                struct ptl_sm_look_up look_up;
                struct ptl_sm_cancel cancel;
                struct ptl_sm_task task;
                struct ptl_sm_found found;
                struct ptl_sm_introduction introduction;
                struct ptl_sm_watch watch;
                struct ptl_sm_list list;
                struct ptl_sm_item item;
                struct ptl_sm_status status;
                struct ptl_sm_process process;
                struct ptl_sm_view view;
        };
        size_t name_size;
        char name[PTL_SERVER_NAME_MAX + 1];
};

/**
 * ptl_server_msg_encode - write a message as a packet
 * @msg:    type, serial, the body of that type, name and name_size
 * @packet: filled; PTL_SERVER_PACKET_MAX bytes
 *
 * Return: the packet's size. Cannot fail: a type or a name size that does not exist is asserted.
 */
size_t ptl_server_msg_encode(const struct ptl_server_msg *msg, void *packet);

/**
 * ptl_server_msg_decode - read a packet that anyone may have written
 * @packet, @size: borrowed; read once
 * @ret_msg: filled on success; strings in it are NUL-terminated
 *
 * Checks magic, type, that sizes are exactly those of the type, that names are 1 to
 * PTL_SERVER_NAME_MAX bytes without NUL (a WATCH's may be empty), that enums are in range and reserved
 * fields are 0.
 *
 * Return: 0, PTL_E_MALFORMED.
 */
PTL_MUST_CHECK int ptl_server_msg_decode(const void *packet, size_t size,
                                         struct ptl_server_msg *ret_msg);

/* The type's name ("LOOK_UP") for traces; "?" for none. */
const char *ptl_server_type_name(unsigned type);
