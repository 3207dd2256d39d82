/* SPDX-License-Identifier: Apache-2.0 */
/* base/outcome.c - names, texts and errno values of the one enum of outcomes */
#define _GNU_SOURCE
#include <portolan/outcome.h>

#include <errno.h>
#include <string.h>

struct row {
        const char *name, *text;
        int error;
};

/* Exhaustive by construction: a row that is missing here is a hole that outcome_test finds. */
static const int errors[PTL_E_COUNT_] = {
        [PTL_E_FULL] = EAGAIN,          [PTL_E_EMPTY] = EAGAIN,     [PTL_E_TIMEOUT] = ETIMEDOUT,
        [PTL_E_UNANSWERED] = ETIMEDOUT, [PTL_E_DEAD] = EPIPE,       [PTL_E_NO_REPLY] = ECONNRESET,
        [PTL_E_NAME] = EBADF,           [PTL_E_RIGHT] = EBADF,      [PTL_E_FORKED] = EBADF,
        [PTL_E_INVALID] = EINVAL,       [PTL_E_TOO_BIG] = EMSGSIZE, [PTL_E_QUOTA] = EDQUOT,
        [PTL_E_NOT_FOUND] = ENOENT,     [PTL_E_EXISTS] = EEXIST,    [PTL_E_REFUSED] = EACCES,
        [PTL_E_NO_SERVER] = ENOTCONN,   [PTL_E_VERSION] = EPROTONOSUPPORT,
        [PTL_E_MALFORMED] = EBADMSG,    [PTL_E_BUSY] = EBUSY,       [PTL_E_UNSUPPORTED] = EOPNOTSUPP,
        [PTL_E_LOST] = EIO,
};

static const struct row rows[PTL_E_COUNT_] = {
        [PTL_OK] = {"0", "success", 0},
#define ROW(name, value, text) [value] = {"PTL_E_" #name, text, 0},
        PTL_OUTCOMES(ROW)
#undef ROW
};

/* "-ENOMEM" with its minus sign: the strings must be static, so strerrorname_np() does not serve. */
static const char *const negative[] = {
#define E(name) [name] = "-" #name
        E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF),
        E(ECHILD), E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(ENOTBLK), E(EBUSY), E(EEXIST),
        E(EXDEV), E(ENODEV), E(ENOTDIR), E(EISDIR), E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY),
        E(ETXTBSY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK), E(EPIPE), E(EDOM),
        E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOLCK), E(ENOSYS), E(ENOTEMPTY), E(ELOOP),
        E(ENOMSG), E(EIDRM), E(ECHRNG), E(EL2NSYNC), E(EL3HLT), E(EL3RST), E(ELNRNG), E(EUNATCH),
        E(ENOCSI), E(EL2HLT), E(EBADE), E(EBADR), E(EXFULL), E(ENOANO), E(EBADRQC), E(EBADSLT),
        E(EBFONT), E(ENOSTR), E(ENODATA), E(ETIME), E(ENOSR), E(ENONET), E(ENOPKG), E(EREMOTE),
        E(ENOLINK), E(EADV), E(ESRMNT), E(ECOMM), E(EPROTO), E(EMULTIHOP), E(EDOTDOT), E(EBADMSG),
        E(EOVERFLOW), E(ENOTUNIQ), E(EBADFD), E(EREMCHG), E(ELIBACC), E(ELIBBAD), E(ELIBSCN),
        E(ELIBMAX), E(ELIBEXEC), E(EILSEQ), E(ERESTART), E(ESTRPIPE), E(EUSERS), E(ENOTSOCK),
        E(EDESTADDRREQ), E(EMSGSIZE), E(EPROTOTYPE), E(ENOPROTOOPT), E(EPROTONOSUPPORT),
        E(ESOCKTNOSUPPORT), E(EOPNOTSUPP), E(EPFNOSUPPORT), E(EAFNOSUPPORT), E(EADDRINUSE),
        E(EADDRNOTAVAIL), E(ENETDOWN), E(ENETUNREACH), E(ENETRESET), E(ECONNABORTED),
        E(ECONNRESET), E(ENOBUFS), E(EISCONN), E(ENOTCONN), E(ESHUTDOWN), E(ETOOMANYREFS),
        E(ETIMEDOUT), E(ECONNREFUSED), E(EHOSTDOWN), E(EHOSTUNREACH), E(EALREADY), E(EINPROGRESS),
        E(ESTALE), E(EUCLEAN), E(ENOTNAM), E(ENAVAIL), E(EISNAM), E(EREMOTEIO), E(EDQUOT),
        E(ENOMEDIUM), E(EMEDIUMTYPE), E(ECANCELED), E(ENOKEY), E(EKEYEXPIRED), E(EKEYREVOKED),
        E(EKEYREJECTED), E(EOWNERDEAD), E(ENOTRECOVERABLE), E(ERFKILL), E(EHWPOISON),
#undef E
};

enum { ERRNOS = sizeof negative / sizeof *negative };

static const struct row *find(int outcome)
{
        if (outcome < 0 || outcome >= PTL_E_COUNT_)
                return NULL;
        return &rows[outcome];
}

const char *ptl_outcome_text(int outcome)
{
        const struct row *row = find(outcome);
        const char *text = row ? row->text : NULL;

        if (outcome < 0 && outcome > -ERRNOS)
                text = strerrordesc_np(-outcome);
        return text ? text : "unknown outcome";
}

const char *ptl_outcome_name(int outcome)
{
        const struct row *row = find(outcome);

        if (outcome < 0)
                return outcome > -ERRNOS && negative[-outcome] ? negative[-outcome] : "?";
        return row ? row->name : "?";
}

int ptl_outcome_errno(int outcome)
{
        if (outcome > -ERRNOS && outcome <= 0)
                return -outcome;
        return find(outcome) ? errors[outcome] : EIO;
}
