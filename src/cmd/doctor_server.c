/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/doctor_server.c - portolan doctor: the name server: where, whose, and whether it answers
 *
 * Nothing is started: a server that is not there is looked at only as far as that it could be.
 */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include "cmd/text.h"
#include <errno.h>
#include <limits.h>
#include <portolan/portolan.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char system_socket[] = "/run/portolan/portolan.sock";

struct place {
        struct sockaddr_un address;
        const char *why; /* it is this one */
        bool is_own;     /* the library starts it */
        bool is_too_long;
};

static bool is_folder_of_ours(const char *path, struct stat *st)
{
        return lstat(path, st) == 0 && S_ISDIR(st->st_mode) && st->st_uid == geteuid();
}

/* By the rules of portolan/name.h. */
static struct place find_place(void)
{
        struct place p = {.address.sun_family = AF_UNIX};
        const char *given = secure_getenv("PORTOLAN_SOCKET"),
                   *runtime = secure_getenv("XDG_RUNTIME_DIR");
        char path[PATH_MAX];
        struct stat st;

        if (given && given[0]) {
                p.why = "PORTOLAN_SOCKET";
                snprintf(path, sizeof path, "%s", given);
        } else if (stat(system_socket, &st) == 0 && S_ISSOCK(st.st_mode)) {
                p.why = "the system's";
                snprintf(path, sizeof path, "%s", system_socket);
        } else {
                p.why = "this user's own";
                p.is_own = true;
                if (runtime && runtime[0] == '/' && is_folder_of_ours(runtime, &st))
                        snprintf(path, sizeof path, "%s/portolan/portolan.sock", runtime);
                else
                        snprintf(path, sizeof path, "/tmp/portolan-%u/portolan.sock",
                                 (unsigned)geteuid());
        }
        p.is_too_long = strlen(path) >= sizeof p.address.sun_path;
        if (!p.is_too_long)
                memcpy(p.address.sun_path, path, strlen(path) + 1);
        return p;
}

/* Who listens; 0 or -errno. */
static int find_listener(const struct place *p, struct ucred *ret)
{
        ptl_cleanup(ptl_closep) int fd =
                socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = sizeof *ret;

        if (fd < 0 || connect(fd, (const struct sockaddr *)&p->address, sizeof p->address) ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size))
                return -errno;
        return 0;
}

bool doctor_server_listens(void)
{
        struct place p = find_place();
        struct ucred who;

        return !p.is_too_long && !find_listener(&p, &who);
}

static void look_runtime(struct doctor_finding *f)
{
        const char *path = secure_getenv("XDG_RUNTIME_DIR");
        struct stat st;

        if (!path || !path[0])
                doctor_say(f, DOCTOR_OK, "this user's server is in /tmp/portolan-UID instead", NULL,
                           "not set");
        else if (path[0] != '/' || !is_folder_of_ours(path, &st))
                doctor_say(f, DOCTOR_NOTE, "it is not a folder of this user, so it is not used",
                           "Unset it, or log in so that it is made.", "%.120s", path);
        else if (st.st_mode & 077)
                doctor_say(f, DOCTOR_NOTE, "others can reach into it", "chmod 700 it",
                           "%.120s, mode %o", path, st.st_mode & 07777);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%.120s", path);
}

static void look_socket(struct doctor_finding *f)
{
        struct place p = find_place();

        if (p.is_too_long)
                doctor_say(f, DOCTOR_PROBLEM, "a socket's path has at most 107 bytes",
                           "Use a shorter one.", "too long (%s)", p.why);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s (%s)", p.address.sun_path, p.why);
}

static void say_nobody(struct doctor_finding *f, const struct place *p, int error)
{
        if (error == EACCES || error == EPERM)
                doctor_say(f, DOCTOR_PROBLEM, "names cannot be published or found",
                           "Give this user access to the socket and its folder.", "%s",
                           strerror(error));
        else if (p->is_own)
                doctor_say(f, DOCTOR_OK, "the library starts it when it is needed", NULL,
                           "not running");
        else
                doctor_say(f, DOCTOR_NOTE, "nobody listens there",
                           "Start it: systemctl start portoland.socket, or portoland --background.",
                           "%s", strerror(error));
}

static void say_status(struct doctor_finding *f, const struct ucred *who)
{
        struct ptl_server_status s;
        char up[24];
        int r = ptl_server_get_status(&s);

        if (r)
                doctor_say(f, DOCTOR_PROBLEM, "names cannot be published or found",
                           "Restart it; PORTOLAN_TRACE=1 portolan ls shows what it says.",
                           "pid %d does not answer: %s", (int)who->pid, ptl_outcome_text(r));
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL,
                           "version %.15s, pid %d, up %s, %u names, %u tasks", s.version,
                           (int)who->pid, text_span(up, s.uptime_ns), s.names, s.tasks);
}

static void look_answer(struct doctor_finding *f)
{
        struct place p = find_place();
        struct ucred who;
        int r = p.is_too_long ? -ENAMETOOLONG : find_listener(&p, &who);

        if (r)
                say_nobody(f, &p, -r);
        else
                say_status(f, &who);
}

static void look_user(struct doctor_finding *f)
{
        struct place p = find_place();
        struct ucred who;

        if (p.is_too_long || find_listener(&p, &who))
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not running");
        else if (who.uid == 0 || who.uid == geteuid())
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s", who.uid ? "this user" : "root");
        else
                doctor_say(f, DOCTOR_PROBLEM,
                           "the library does not believe a server of another user",
                           "Use one of root or of this user (PORTOLAN_SOCKET).", "uid %u", who.uid);
}

/* $PORTOLAND, beside this program as installed or built, where it was installed. */
static bool find_program(char ret[PATH_MAX])
{
        static const char *const beside[] = {"portoland", "../libexec/portoland",
                                             "../server/portoland"};
        const char *given = getenv("PORTOLAND");
        char self[PATH_MAX / 2] = "", *slash;

        if (given && given[0]) {
                snprintf(ret, PATH_MAX, "%s", given);
                return access(ret, X_OK) == 0;
        }
        if (readlink("/proc/self/exe", self, sizeof self - 1) > 0 && (slash = strrchr(self, '/'))) {
                *slash = 0;
                for (size_t i = 0; i < PTL_ARRAY_LEN(beside); i++) {
                        snprintf(ret, PATH_MAX, "%s/%s", self, beside[i]);
                        if (access(ret, X_OK) == 0)
                                return true;
                }
        }
        snprintf(ret, PATH_MAX, "%s", PTL_LIBEXEC);
        return access(ret, X_OK) == 0;
}

static void look_program(struct doctor_finding *f)
{
        struct place p = find_place();
        char path[PATH_MAX];

        if (find_program(path))
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%.150s", path);
        else
                doctor_say(f, p.is_own ? DOCTOR_PROBLEM : DOCTOR_NOTE,
                           "the library cannot start a server",
                           "Install it, or name it in PORTOLAND.", "not at %.120s", path);
}

static const struct doctor_check checks[] = {
        {"runtime_dir", "XDG_RUNTIME_DIR",        look_runtime},
        {"socket",      "socket",                 look_socket },
        {"server",      "name server",            look_answer },
        {"server_user", "it runs as",             look_user   },
        {"portoland",   "portoland, the program", look_program},
};

const struct doctor_group doctor_server = {"Name server", checks, PTL_ARRAY_LEN(checks)};
