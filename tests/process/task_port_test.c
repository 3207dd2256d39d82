/* SPDX-License-Identifier: Apache-2.0 */
/* Task ports: what a parent does in its children's name spaces; what children inherit (portolan/control.h). */
#include "roles.h"
#include <poll.h>
#include <sys/wait.h>

enum { KIND_STALE = 5 };

/* ---- peers ---- */

/* child: says the name of a port of its own, then what arrives there; goes to send to names it hears. */
PEER(child)
{
        ptl_port own = new_port();
        struct ptl_message m;
        char line[64];

        peer_say(NULL, "%u", own);
        while (ptl_receive(own, &m, PTL_FOREVER) == 0) {
                bool quit = m.kind == KIND_QUIT;

                if (m.size)
                        peer_say(NULL, "%s", (const char *)m.data);
                ptl_message_release(&m);
                if (quit)
                        return;
                if (peer_hear_line(NULL, line, sizeof line))
                        peer_say(NULL, "%d", ptl_send((ptl_port)strtoul(line, NULL, 10), "from the child", 15, soon()));
        }
}

/* quiet: is a task, and then does nothing until its other side ends. */
PEER(quiet)
{
        (void)new_port();
        peer_say(NULL, "is there");
        peer_stay();
}

/* The next child's task port. */
static ptl_port hear_of_child(ptl_port notify)
{
        struct ptl_message m = take_message(notify);
        struct ptl_notification n;

        CHECK_EQ(m.kind, PTL_NOTIFY_CHILD);
        CHECK_EQ(m.size, sizeof n);
        memcpy(&n, m.data, sizeof n);
        ptl_message_release(&m);
        return n.value;
}

static ptl_port watch_children(void)
{
        ptl_port notify = new_port();

        OK(ptl_task_watch_children(notify));
        return notify;
}

static ptl_port start_child(ptl_port notify, struct peer *ret_peer, ptl_port *ret_its)
{
        ptl_port task;

        peer_start(ret_peer, "child", NULL);
        *ret_its = (ptl_port)peer_hear_number(ret_peer);
        task = hear_of_child(notify);
        CHECK_EQ(status_of(task).peer_pid, ret_peer->pid);
        return task;
}

static void end_child(struct peer *peer, ptl_port to)
{
        OK(ptl_send_message(to, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(peer);
}

static ptl_port extract(ptl_port task, ptl_port name, enum ptl_disposition how)
{
        ptl_port port = PTL_NULL;

        OK(ptl_task_extract(task, name, how, &port, soon()));
        CHECK(port != PTL_NULL);
        return port;
}

static void check_there(ptl_port task, ptl_port name, uint32_t rights, uint32_t references)
{
        uint32_t r = 0, n = 0;

        OK(ptl_task_get_right(task, name, &r, &n, soon()));
        CHECK_EQ(r, rights);
        CHECK_EQ(n, references);
}

/* ---- another's rights ---- */

API_TEST(a_parent_takes_a_right_out_of_its_child)
{
        ptl_port notify = watch_children(), its, task, to;
        struct peer child;

        task = start_child(notify, &child, &its);
        check_there(task, its, PTL_RIGHT_RECEIVE, 0);
        to = extract(task, its, PTL_MAKE_SEND);
        check_rights(to, PTL_RIGHT_SEND, 1);
        OK(ptl_send(to, "from outside", 13, soon()));
        peer_hear(&child, "from outside");
        peer_say(&child, "0"); /* sends to no name */
        CHECK_EQ(peer_hear_number(&child), PTL_E_NAME);
        end_child(&child, to);
}

API_TEST(a_parent_puts_a_right_into_its_child)
{
        ptl_port notify = watch_children(), mine = new_port(), its, task, to, there = PTL_NULL, again = PTL_NULL;
        struct ptl_right_item right = {.port = mine, .disposition = PTL_MAKE_SEND};
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        OK(ptl_task_insert(task, PTL_NULL, &right, &there, soon()));
        check_there(task, there, PTL_RIGHT_SEND, 1);
        OK(ptl_task_insert(task, PTL_NULL, &right, &again, soon()));
        CHECK_EQ(again, there);
        check_there(task, there, PTL_RIGHT_SEND, 2);
        OK(ptl_send(to, "now", 4, soon()));
        peer_hear(&child, "now");
        peer_say(&child, "%u", there);
        CHECK_EQ(peer_hear_number(&child), 0);
        take(mine, "from the child");
        OK(ptl_task_release(task, there, 1, soon()));
        check_there(task, there, PTL_RIGHT_SEND, 1);
        OUTCOME(ptl_task_release(task, there, 2, soon()), PTL_E_INVALID);
        OK(ptl_task_release(task, there, 1, soon()));
        OUTCOME(ptl_task_get_right(task, there, &(uint32_t){0}, NULL, soon()), PTL_E_NAME);
        end_child(&child, to);
}

API_TEST(a_parent_chooses_the_name_of_what_it_puts_into_its_child)
{
        enum { CHOSEN = 0x12300077 };
        ptl_port notify = watch_children(), mine = new_port(), other = new_port(), its, task, to, there = PTL_NULL;
        struct ptl_right_item right = {.port = mine, .disposition = PTL_MAKE_SEND};
        struct ptl_right_item another = {.port = other, .disposition = PTL_MAKE_SEND};
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        OK(ptl_task_insert(task, CHOSEN, &right, &there, soon()));
        CHECK_EQ(there, CHOSEN);
        OK(ptl_task_insert(task, CHOSEN, &right, &there, soon())); /* merged */
        check_there(task, CHOSEN, PTL_RIGHT_SEND, 2);
        OUTCOME(ptl_task_insert(task, CHOSEN + 1, &right, &there, soon()), PTL_E_EXISTS);
        check_there(task, CHOSEN, PTL_RIGHT_SEND, 2);
        OUTCOME(ptl_task_insert(task, CHOSEN, &another, &there, soon()), PTL_E_EXISTS);
        OUTCOME(ptl_task_insert(task, its, &another, &there, soon()), PTL_E_EXISTS);
        OUTCOME(ptl_task_insert(task, 0x12300000, &another, &there, soon()), PTL_E_INVALID);
        OK(ptl_send(to, "now", 4, soon()));
        peer_hear(&child, "now");
        peer_say(&child, "%u", (unsigned)CHOSEN);
        CHECK_EQ(peer_hear_number(&child), 0);
        take(mine, "from the child");
        end_child(&child, to);
}

API_TEST(a_moved_right_is_gone_where_it_was)
{
        ptl_port notify = watch_children(), mine = new_port(), its, task, to, there = PTL_NULL, once;
        struct ptl_right_item right = {.port = mine, .disposition = PTL_MAKE_SEND};
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        OK(ptl_task_insert(task, PTL_NULL, &right, &there, soon()));
        CHECK_EQ(extract(task, there, PTL_MOVE_SEND), mine); /* has come home */
        OUTCOME(ptl_task_get_right(task, there, &(uint32_t){0}, NULL, soon()), PTL_E_NAME);
        once = extract(task, its, PTL_MAKE_SEND_ONCE);
        OK(ptl_send(once, "once", 5, soon()));
        peer_hear(&child, "once");
        peer_say(&child, "0");
        (void)peer_hear_number(&child);
        end_child(&child, to);
}

API_TEST(a_right_to_a_third_tasks_port_is_taken_out_too)
{
        ptl_port notify = watch_children(), its, thirds, task, third, right, there = PTL_NULL;
        struct ptl_right_item item = {.disposition = PTL_COPY_SEND};
        uint32_t rights, references;
        struct peer child, other;

        task = start_child(notify, &child, &its);
        third = start_child(notify, &other, &thirds);
        right = item.port = extract(third, thirds, PTL_MAKE_SEND);
        OK(ptl_task_insert(task, PTL_NULL, &item, &there, soon()));
        check_there(task, there, PTL_RIGHT_SEND, 1);
        CHECK_EQ(extract(task, there, PTL_MOVE_SEND), right);
        check_rights(right, PTL_RIGHT_SEND, 2);
        OUTCOME(ptl_task_get_right(task, there, &rights, &references, soon()), PTL_E_NAME);
        end_child(&other, right);
        end_child(&child, extract(task, its, PTL_MAKE_SEND));
}

API_TEST(what_is_wrong_with_a_request_is_said_and_nothing_is_lost)
{
        ptl_port notify = watch_children(), mine = new_send_port(), its, task, to, got = 77;
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        OUTCOME(ptl_task_extract(task, 0, PTL_COPY_SEND, &got, soon()), PTL_E_NAME);
        OUTCOME(ptl_task_extract(task, its, PTL_COPY_SEND, &got, soon()), PTL_E_RIGHT);
        OUTCOME(ptl_task_extract(task, its, 0, &got, soon()), PTL_E_INVALID);
        OUTCOME(ptl_task_extract(task, its, 99, &got, soon()), PTL_E_INVALID);
        OUTCOME(ptl_task_extract(task, its, PTL_MAKE_SEND, NULL, soon()), PTL_E_INVALID);
        CHECK_EQ(got, 77);
        OUTCOME(ptl_task_release(task, its, 1, soon()), PTL_E_RIGHT);
        OUTCOME(ptl_task_release(task, 0, 1, soon()), PTL_E_NAME);
        OUTCOME(ptl_task_get_right(task, its, NULL, NULL, soon()), PTL_E_INVALID);
        OUTCOME(ptl_task_insert(task, PTL_NULL, NULL, &got, soon()), PTL_E_INVALID);
        OUTCOME(ptl_task_insert(task, PTL_NULL, &(struct ptl_right_item){.port = mine, .disposition = 99}, &got, soon()),
                PTL_E_INVALID);
        OUTCOME(ptl_task_insert(task, PTL_NULL, &(struct ptl_right_item){.port = mine, .disposition = PTL_MOVE_SEND_ONCE},
                                &got, soon()),
                PTL_E_RIGHT);
        OUTCOME(ptl_task_insert(stale_name(), PTL_NULL, &(struct ptl_right_item){.port = mine, .disposition = PTL_MOVE_SEND},
                                &got, soon()),
                PTL_E_NAME);
        check_rights(mine, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        check_there(task, its, PTL_RIGHT_RECEIVE, 0);
        end_child(&child, to);
}

/* A request in the program's own words. */
static int ask_raw(ptl_port task, uint32_t kind, const void *data, size_t size, const struct ptl_right_item *rights,
                   size_t n_rights)
{
        struct ptl_outgoing out = {
                .kind = kind, .data = data, .size = size, .rights = rights, .n_rights = n_rights};
        struct ptl_task_answer answer;
        struct ptl_message m;

        OK(ptl_call_message(task, &out, &m, 0, soon()));
        CHECK_EQ(m.kind, kind);
        CHECK_EQ(m.size, sizeof answer);
        CHECK_EQ(m.n_rights, 0);
        memcpy(&answer, m.data, sizeof answer);
        ptl_message_release(&m);
        return answer.outcome;
}

API_TEST(messages_that_are_no_requests_are_refused_and_their_rights_given_back)
{
        static const struct ptl_task_request request = {.name = PTL_NULL};
        ptl_port notify = watch_children(), mine = new_port(), its, task, to;
        struct ptl_right_item two[] = {{mine, PTL_MAKE_SEND_ONCE}, {mine, PTL_MAKE_SEND_ONCE}};
        struct ptl_message m;
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        OUTCOME(ask_raw(task, KIND_STALE + 100, &request, sizeof request, NULL, 0), PTL_E_INVALID);
        OUTCOME(ask_raw(task, PTL_TASK_GET_RIGHT, &request, sizeof request - 1, NULL, 0), PTL_E_INVALID);
        OUTCOME(ask_raw(task, PTL_TASK_GET_RIGHT, NULL, 0, NULL, 0), PTL_E_INVALID);
        OUTCOME(ask_raw(task, PTL_TASK_INSERT, &request, sizeof request, NULL, 0), PTL_E_INVALID);
        OUTCOME(ask_raw(task, PTL_TASK_INSERT, &request, sizeof request, two, 2), PTL_E_INVALID);
        OUTCOME(ask_raw(task, PTL_TASK_RELEASE, &request, sizeof request, two, 1), PTL_E_INVALID);
        for (int i = 0; i < 3; i++) {
                m = take_message(mine);
                CHECK_EQ(m.kind, PTL_NOTIFY_SEND_ONCE);
                ptl_message_release(&m);
        }
        OUTCOME(ptl_task_insert(to, PTL_NULL, &two[0], &its, soon()), PTL_E_NO_REPLY); /* no task port */
        peer_hear(&child, "");
        peer_say(&child, "0");
        CHECK_EQ(peer_hear_number(&child), PTL_E_NAME);
        end_child(&child, to);
}

API_TEST(a_stopped_child_answers_when_it_goes_on_and_a_dead_one_never)
{
        ptl_port notify = watch_children(), its, task, to;
        struct peer child;

        task = start_child(notify, &child, &its);
        to = extract(task, its, PTL_MAKE_SEND);
        CHECK(kill(child.pid, SIGSTOP) == 0);
        OUTCOME(ptl_task_get_right(task, its, &(uint32_t){0}, NULL, ptl_after_ms(50)), PTL_E_UNANSWERED);
        CHECK(kill(child.pid, SIGCONT) == 0);
        check_there(task, its, PTL_RIGHT_RECEIVE, 0);
        peer_kill(&child);
        OUTCOME(ptl_task_get_right(task, its, &(uint32_t){0}, NULL, soon()), PTL_E_DEAD);
        check_rights(to, PTL_RIGHT_DEAD, 1);
}

/* ---- one's own ---- */

API_TEST(a_task_is_asked_by_itself)
{
        ptl_port task = PTL_NULL, again = PTL_NULL, port = new_port(), there = PTL_NULL;

        OK(ptl_task_port(&task));
        OK(ptl_task_port(&again));
        CHECK_EQ(task, again);
        check_rights(task, PTL_RIGHT_SEND, 2);
        check_there(task, port, PTL_RIGHT_RECEIVE, 0);
        CHECK_EQ(extract(task, port, PTL_MAKE_SEND), port);
        check_rights(port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        OK(ptl_task_insert(task, PTL_NULL, &(struct ptl_right_item){port, PTL_COPY_SEND}, &there, soon()));
        CHECK_EQ(there, port);
        check_rights(port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        OK(ptl_task_release(task, port, 2, soon()));
        check_rights(port, PTL_RIGHT_RECEIVE, 0);
        OK(ptl_right_release(task));
        OK(ptl_right_release(task));
        check_no_name(task);
        OK(ptl_task_port(&again));
        check_rights(again, PTL_RIGHT_SEND, 1);
}

API_TEST(a_task_port_is_no_port_of_the_programs)
{
        struct ptl_right_item made = {.disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {.rights = &made, .n_rights = 1};
        ptl_port task = PTL_NULL, set = new_set(), port = new_send_port();
        struct ptl_message m;
        size_t n;
        int fd;

        OK(ptl_task_port(&task));
        made.port = task;
        OUTCOME(ptl_receive(task, &m, PTL_NOW), PTL_E_RIGHT);
        OUTCOME(ptl_receive_batch(task, &m, 1, &n, 0, PTL_NOW), PTL_E_RIGHT);
        OUTCOME(ptl_port_free(task), PTL_E_RIGHT);
        OUTCOME(ptl_port_set_limit(task, &(struct ptl_port_options){.limit_messages = 1}), PTL_E_RIGHT);
        OUTCOME(ptl_right_make_send(task), PTL_E_RIGHT);
        OUTCOME(ptl_set_add(set, task), PTL_E_RIGHT);
        OUTCOME(ptl_descriptor(task, &fd), PTL_E_RIGHT);
        OUTCOME(ptl_name_publish("mine", task), PTL_E_RIGHT);
        OUTCOME(ptl_name_watch("", task), PTL_E_RIGHT);
        OUTCOME(ptl_right_notify_dead(port, task), PTL_E_RIGHT);
        OUTCOME(ptl_send_message(port, &out, PTL_NOW), PTL_E_RIGHT);
        OUTCOME(ptl_task_watch_children(task), PTL_E_RIGHT);
        OUTCOME(ptl_task_set_bootstrap(task), PTL_E_RIGHT);
        check_rights(task, PTL_RIGHT_SEND, 1);
        OUTCOME(ptl_task_port(NULL), PTL_E_INVALID);
}

/* ---- parents and children ---- */

static void reap_well(pid_t pid)
{
        int status;

        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_nothing_more(ptl_port port)
{
        struct ptl_message m;

        OUTCOME(ptl_receive(port, &m, PTL_NOW), PTL_E_EMPTY);
}

API_TEST(a_forked_child_is_heard_of_and_its_own_children_are_not)
{
        ptl_port notify = watch_children(), task;
        int held[2];
        pid_t pid;

        CHECK(pipe(held) == 0);
        pid = fork();
        if (pid == 0) {
                pid_t grandchild;

                (void)new_port();
                grandchild = fork();
                if (grandchild == 0) {
                        (void)new_port();
                        _exit(0);
                }
                reap_well(grandchild);
                close(held[1]);
                _exit(read(held[0], &(char){0}, 1) == 0 ? 0 : 1);
        }
        task = hear_of_child(notify);
        CHECK_EQ(status_of(task).peer_pid, pid);
        check_rights(task, PTL_RIGHT_SEND, 1);
        close(held[0]);
        close(held[1]);
        reap_well(pid);
        check_nothing_more(notify);
}

API_TEST(who_is_not_asked_for_says_nothing)
{
        ptl_port notify = watch_children();
        struct peer quiet;

        OK(ptl_task_watch_children(PTL_NULL));
        peer_start(&quiet, "quiet", NULL);
        peer_hear(&quiet, "is there");
        check_nothing_more(notify);
        peer_end(&quiet);
        CHECK(getenv("PORTOLAN_PARENT") == NULL);
}

/* liar NAME: no child of who published it, though it knows where children say that they are. */
PEER(liar)
{
        struct ptl_right_item right = {.disposition = PTL_MAKE_SEND_ONCE};
        struct ptl_outgoing out = {.rights = &right, .n_rights = 1};
        struct ptl_message m;
        ptl_port nursery;
        char name[64];

        snprintf(name, sizeof name, "\1child.%s", argv[1]);
        nursery = look_up(name);
        right.port = new_port();
        OK(ptl_send_message(nursery, &out, soon()));
        m = take_message(right.port);
        CHECK_EQ(m.kind, PTL_NOTIFY_SEND_ONCE); /* it was given back */
        ptl_message_release(&m);
        right.disposition = PTL_MAKE_SEND;
        OK(ptl_send_message(nursery, &out, soon()));
        peer_say(NULL, "refused");
        peer_stay();
}

/* between ARGUMENT...: a process between the case and a peer, so that this is no child of the case's. */
PEER(between)
{
        struct peer other;
        char line[64];

        peer_start(&other, "liar", argv[1], NULL);
        CHECK(peer_hear_line(&other, line, sizeof line));
        peer_say(NULL, "%s", line);
        peer_stay();
        peer_end(&other);
}

API_TEST(who_is_no_child_is_not_believed)
{
        ptl_port notify = watch_children();
        const char *secret = strchr(getenv("PORTOLAN_PARENT"), ':');
        struct ptl_message m;
        struct peer between;

        CHECK(secret);
        peer_start(&between, "between", secret + 1, NULL);
        while (poll(&(struct pollfd){.fd = between.fd, .events = POLLIN}, 1, 0) == 0)
                OUTCOME(ptl_receive(notify, &m, ptl_after_ms(10)), PTL_E_TIMEOUT); /* serves the liar */
        peer_hear(&between, "refused");
        check_nothing_more(notify);
        peer_end(&between);
}

API_TEST(hidden_names_are_in_no_list_and_no_watchers_hear_of_them)
{
        ptl_port watcher = new_port(), port = new_port(), found = PTL_NULL;
        struct ptl_name_entry *names;
        struct ptl_message m;
        size_t count;

        OK(ptl_name_watch("", watcher));
        OK(ptl_name_publish("\1hidden", port));
        OK(ptl_name_publish("shown", port));
        OK(ptl_server_list_names(&names, &count));
        CHECK_EQ(count, 1);
        CHECK(!strcmp(names[0].name, "shown"));
        free(names);
        m = take_message(watcher);
        CHECK_EQ(m.kind, PTL_NOTIFY_NAME_ADDED);
        CHECK(!strcmp(((const struct ptl_notification *)m.data)->text, "shown"));
        ptl_message_release(&m);
        check_nothing_more(watcher);
        OK(ptl_name_look_up("\1hidden", &found, soon()));
        CHECK_EQ(found, port);
        OK(ptl_name_withdraw("\1hidden"));
        check_nothing_more(watcher);
}

/* ---- bootstrap ---- */

/* heir TEXT: says TEXT to the port that it inherited. */
PEER(heir)
{
        ptl_port bootstrap = PTL_NULL;

        OK(ptl_task_get_bootstrap(&bootstrap, soon()));
        OK(ptl_send(bootstrap, argv[1], strlen(argv[1]) + 1, soon()));
        peer_stay();
}

/* heirs_parent TEXT: starts an heir, without having called the library. */
PEER(heirs_parent)
{
        struct peer heir;

        peer_start(&heir, "heir", argv[1], NULL);
        peer_stay();
        peer_end(&heir);
}

API_TEST(the_bootstrap_port_is_inherited_over_fork_and_exec)
{
        ptl_port port = new_port(), found = PTL_NULL;
        struct peer heir, parent;
        pid_t pid;

        OUTCOME(ptl_task_get_bootstrap(&found, PTL_NOW), PTL_E_NOT_FOUND);
        OK(ptl_task_set_bootstrap(port));
        OK(ptl_task_get_bootstrap(&found, PTL_NOW));
        CHECK_EQ(found, port); /* one's own */
        pid = fork();
        if (pid == 0) {
                OK(ptl_task_get_bootstrap(&found, soon()));
                OK(ptl_send(found, "forked", 7, soon()));
                _exit(0);
        }
        take(port, "forked");
        reap_well(pid);
        peer_start(&heir, "heir", "executed", NULL);
        take(port, "executed");
        peer_end(&heir);
        peer_start(&parent, "heirs_parent", "grandchild", NULL);
        take(port, "grandchild");
        peer_end(&parent);
        OK(ptl_task_set_bootstrap(PTL_NULL));
        OUTCOME(ptl_task_get_bootstrap(&found, PTL_NOW), PTL_E_NOT_FOUND);
        OUTCOME(ptl_task_get_bootstrap(NULL, PTL_NOW), PTL_E_INVALID);
}

/* hearer NAME: says what texts come to the port NAME. */
PEER(hearer)
{
        ptl_port port = new_port();
        struct ptl_message m;

        OK(ptl_name_publish(argv[1], port));
        for (;;) {
                OK(ptl_receive(port, &m, PTL_FOREVER));
                peer_say(NULL, "%s", (const char *)m.data);
                ptl_message_release(&m);
        }
}

/* In the library, where requests are served, until the hearer has heard @text. */
static void serve_until_heard(struct peer *hearer, const char *text)
{
        struct pollfd heard = {.fd = hearer->fd, .events = POLLIN};
        ptl_time end = soon();

        while (poll(&heard, 1, 1) == 0) {
                ptl_task_look();
                CHECK(ptl_now() < end);
        }
        peer_hear(hearer, text);
}

API_TEST(a_bootstrap_port_of_another_task_is_inherited)
{
        struct peer hearer, heir;
        ptl_port port, found = PTL_NULL;

        peer_start(&hearer, "hearer", "hearer", NULL);
        port = look_up("hearer");
        OK(ptl_task_set_bootstrap(port));
        check_rights(port, PTL_RIGHT_SEND, 2); /* the library's */
        OK(ptl_task_get_bootstrap(&found, soon()));
        CHECK_EQ(found, port);
        check_rights(port, PTL_RIGHT_SEND, 3);
        OK(ptl_right_release(port));
        OK(ptl_right_release(port));
        peer_start(&heir, "heir", "from a heir", NULL);
        serve_until_heard(&hearer, "from a heir");
        peer_end(&heir);
        OK(ptl_task_set_bootstrap(PTL_NULL));
        check_no_name(port);
        peer_kill(&hearer);
}

API_TEST(one_bootstrap_port_takes_the_place_of_another)
{
        struct peer hearer, other;
        ptl_port own = new_port(), port, second, found;

        peer_start(&hearer, "hearer", "one", NULL);
        peer_start(&other, "hearer", "two", NULL);
        port = look_up("one");
        second = look_up("two");
        OK(ptl_task_set_bootstrap(port));
        OK(ptl_task_set_bootstrap(port)); /* the same once more */
        check_rights(port, PTL_RIGHT_SEND, 2);
        OK(ptl_task_set_bootstrap(second));
        check_rights(port, PTL_RIGHT_SEND, 1);
        OK(ptl_task_get_bootstrap(&found, soon()));
        CHECK_EQ(found, second);
        OK(ptl_right_release(second));
        OK(ptl_task_set_bootstrap(own));
        check_rights(second, PTL_RIGHT_SEND, 1);
        OK(ptl_task_get_bootstrap(&found, soon()));
        CHECK_EQ(found, own);
        OUTCOME(ptl_task_set_bootstrap(stale_name()), PTL_E_NAME);
        OK(ptl_task_get_bootstrap(&found, soon())); /* that changed nothing */
        CHECK_EQ(found, own);
        peer_kill(&hearer);
        peer_kill(&other);
}

API_TEST(who_asks_for_a_bootstrap_port_gets_nothing_else)
{
        struct ptl_task_request request = {.value = 1};
        struct ptl_task_answer answer;
        struct ptl_outgoing out = {.data = &request, .size = sizeof request, .kind = PTL_TASK_RELEASE};
        ptl_port port, lender, found, mine = new_port();
        struct ptl_message m;
        struct peer hearer;
        char name[64];

        peer_start(&hearer, "hearer", "hearer", NULL);
        port = look_up("hearer");
        OK(ptl_task_set_bootstrap(port));
        snprintf(name, sizeof name, "\1bootstrap.%s", getenv("PORTOLAN_BOOTSTRAP") + strlen("lent:"));
        lender = look_up(name);
        request.name = mine;
        OK(ptl_call_message(lender, &out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof answer);
        memcpy(&answer, m.data, sizeof answer);
        CHECK_EQ(answer.outcome, PTL_E_INVALID);
        CHECK_EQ(m.n_rights, 0);
        ptl_message_release(&m);
        OK(ptl_task_extract(lender, mine, PTL_MOVE_SEND, &found, soon())); /* whatever it asks for */
        CHECK_EQ(found, port);
        check_rights(mine, PTL_RIGHT_RECEIVE, 0);
        peer_kill(&hearer);
}

API_TEST(a_bootstrap_port_of_a_task_that_died_is_not_found)
{
        ptl_port port, found, notify = new_port();
        struct peer hearer;

        peer_start(&hearer, "hearer", "hearer", NULL);
        port = look_up("hearer");
        OK(ptl_task_set_bootstrap(port));
        OK(ptl_right_notify_dead(port, notify));
        peer_kill(&hearer);
        take_dead_name(notify, port);
        OUTCOME(ptl_task_get_bootstrap(&found, soon()), PTL_E_NOT_FOUND);
        OUTCOME(ptl_task_set_bootstrap(port), PTL_E_RIGHT);
}

API_TEST(a_bootstrap_port_that_is_gone_is_not_found)
{
        ptl_port port = new_port(), found;

        OK(ptl_task_set_bootstrap(port));
        OK(ptl_port_free(port));
        OUTCOME(ptl_task_get_bootstrap(&found, PTL_NOW), PTL_E_NOT_FOUND);
        CHECK(setenv("PORTOLAN_BOOTSTRAP", "not a secret", 1) == 0);
        OUTCOME(ptl_task_get_bootstrap(&found, PTL_NOW), PTL_E_NOT_FOUND);
        CHECK(setenv("PORTOLAN_BOOTSTRAP", "0123456789abcdef0123456789abcdef", 1) == 0);
        OUTCOME(ptl_task_get_bootstrap(&found, PTL_NOW), PTL_E_NOT_FOUND);
}
