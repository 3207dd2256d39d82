/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/name.h - the name server: publish, look up, watch
 *
 * Names are 1 to 255 bytes of any value but NUL, case matters, "." separates parts by custom. The
 * server is: the socket PORTOLAN_SOCKET names; else the system's (/run/portolan/portolan.sock) when
 * that is there; else the user's own ($XDG_RUNTIME_DIR/portolan/portolan.sock, or
 * /tmp/portolan-UID/portolan.sock), which the library starts when nobody listens and which leaves
 * when it has been idle for 30 s. Names that begin with byte 1 are shown in no list and to no watcher:
 * who knows one can look it up.
 *
 * A published name stays the publishing task's until it withdraws it, frees the port, or dies. When
 * the server is restarted, each task publishes its names again at its next call of the library.
 *
 * Cost: a message to the server and back for each call; a first look-up of a task's port also makes
 * the link to that task. Nothing here is on the path of a message.
 * Thread-safe; not async-signal-safe. Fork: the child connects as a task of its own.
 */
#ifndef PORTOLAN_NAME_H
#define PORTOLAN_NAME_H

#include <portolan/region.h>
#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PTL_NAME_MAX 255u /* bytes, without the NUL */

/**
 * ptl_name_publish - let others find a port by name
 * @name: borrowed; NUL-terminated, 1 to PTL_NAME_MAX bytes
 * @port: a name with the receive right; stays the caller's
 *
 * Any task that may talk to this server can look the name up and gets a send right.
 *
 * Return: 0, PTL_E_INVALID (@name NULL, empty), PTL_E_TOO_BIG (@name), PTL_E_NAME, PTL_E_RIGHT,
 * PTL_E_FORKED, PTL_E_EXISTS (a living task has the name: a second receiver is refused), PTL_E_QUOTA
 * (too many names, or the server is full), PTL_E_NO_SERVER, PTL_E_VERSION, PTL_E_REFUSED (the server runs as another user
 * that is neither root nor us), -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_name_publish(const char *name, ptl_port port);

/**
 * ptl_name_withdraw - take a name back
 * @name: published by this task (a port or a region)
 *
 * Rights that were looked up stay valid.
 *
 * Return: 0, PTL_E_NOT_FOUND (not published by this task), PTL_E_INVALID, PTL_E_TOO_BIG,
 * PTL_E_NO_SERVER, PTL_E_VERSION, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_name_withdraw(const char *name);

/**
 * ptl_name_look_up - get a send right to the port that was published under a name
 * @ret_port: filled on success: a send right, one user reference. Looking up the same publication
 *            again gives the same name and one more reference. Looking up one's own port gives its
 *            name with a send right added.
 * @deadline: how long to wait for the name to be published; PTL_NOW does not wait for that (but
 *            does wait for the server's answer, at most 10 s)
 *
 * The right can be used at once, before the other task has looked: messages wait for it.
 *
 * Return: 0, PTL_E_NOT_FOUND (@deadline was PTL_NOW), PTL_E_TIMEOUT, PTL_E_RIGHT (the name is a
 * region's), PTL_E_INVALID, PTL_E_TOO_BIG, PTL_E_QUOTA (too many look-ups, or the server or the other
 * task's connection with it is full), PTL_E_NO_SERVER, PTL_E_VERSION, PTL_E_REFUSED, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_name_look_up(const char *name, ptl_port *ret_port,
                                               ptl_time deadline);

/**
 * ptl_name_watch - be told when names come and go
 * @prefix: borrowed; names that begin with it are watched; "" watches all
 * @notify: a name with the receive right: where PTL_NOTIFY_NAME_ADDED and PTL_NOTIFY_NAME_REMOVED
 *          are put. Names that exist already are reported as added, once each, first.
 *
 * One watch a port; a new one replaces it; @prefix NULL cancels.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED, PTL_E_TOO_BIG, PTL_E_QUOTA, PTL_E_NO_SERVER,
 * PTL_E_VERSION, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_name_watch(const char *prefix, ptl_port notify);

enum ptl_name_kind { PTL_NAME_PORT = 1, PTL_NAME_REGION = 2 };

struct ptl_name_entry {
        char name[PTL_NAME_MAX + 1];
        uint32_t kind; /* enum ptl_name_kind */
        uint32_t reserved;
        struct ptl_identity owner;
        uint64_t size; /* of a region, bytes */
};

struct ptl_task_entry {
        struct ptl_identity identity;
        char command[16]; /* comm of that process when it connected; not to be trusted */
        uint32_t links;   /* introductions made for it whose both sides live */
        uint32_t names;
};

struct ptl_link_entry { /* one introduction that the server made; both tasks live */
        struct ptl_identity a, b;
};

/**
 * ptl_server_list_names, ptl_server_list_tasks, ptl_server_list_links - what the server knows
 * @ret_entries: filled on success: an array the caller frees with free()
 * @ret_count:   its length
 *
 * Names and tasks of other users are listed to root and to the server's own user only.
 *
 * Return: 0, PTL_E_INVALID, PTL_E_QUOTA (the server is full), PTL_E_NO_SERVER, PTL_E_VERSION,
 * PTL_E_REFUSED, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_server_list_names(struct ptl_name_entry **ret_entries,
                                                    size_t *ret_count);
PTL_PUBLIC PTL_MUST_CHECK int ptl_server_list_tasks(struct ptl_task_entry **ret_entries,
                                                    size_t *ret_count);
PTL_PUBLIC PTL_MUST_CHECK int ptl_server_list_links(struct ptl_link_entry **ret_entries,
                                                    size_t *ret_count);

struct ptl_server_status {
        struct ptl_identity server;
        char socket[108];     /* path of the socket */
        char version[16];     /* of the server */
        uint32_t protocol;    /* version of the protocol */
        uint32_t tasks, names;
        uint32_t tasks_max;     /* how many there may be */
        uint64_t introductions; /* made since it started */
        uint64_t uptime_ns;
        uint32_t names_max;     /* of one task */
        uint32_t look_ups_max;  /* of one task, that wait */
        uint32_t descriptors;   /* that the server has open, about */
        uint32_t descriptors_max;
};

/**
 * ptl_server_get_status - which server this task uses, and how it is
 * Return: as ptl_server_list_names().
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_server_get_status(struct ptl_server_status *ret_status);

/**
 * ptl_region_publish - let others find a region by name
 * @name:   as in ptl_name_publish()
 * @region: borrowed; the server keeps the memory as long as the name is published
 *
 * Return: as ptl_name_publish(), and PTL_E_RIGHT if the region came from another task.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_region_publish(const char *name, const struct ptl_region *region);

/**
 * ptl_region_look_up - map a region that was published under a name
 * @ret_region: filled on success; the caller's, freed with ptl_region_free()
 * @deadline:   as in ptl_name_look_up()
 *
 * The region is shared: what either side writes the other sees (with the hardware's ordering: use
 * atomics). Its size cannot change under the caller (sealed).
 *
 * Return: as ptl_name_look_up(), and PTL_E_RIGHT if the name is a port's, PTL_E_MALFORMED if the
 * memory is not sealed as a region must be.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_region_look_up(const char *name, struct ptl_region **ret_region,
                                                 ptl_time deadline);

#ifdef __cplusplus
}
#endif
#endif
