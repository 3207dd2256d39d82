/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/replay.c - gives a fuzz target its corpus, one input after the other, under any compiler
 *
 * usage: NAME_replay FILE|FOLDER ...      Speaks TAP: a case per input, and one for the empty
 * input. An input is in a heap block of exactly its size, so that a sanitizer sees a read past its
 * end.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char *target;
static unsigned cases;

static void give(const char *name, const uint8_t *data, size_t size)
{
        fprintf(stderr, "# %s\n", name); /* names the culprit if the next line never comes */
        (void)LLVMFuzzerTestOneInput(data, size);
        printf("ok %u - fuzz/%s/%s\n", ++cases, target, name);
        fflush(stdout);
}

static bool replay_file(const char *path, const char *name, size_t size)
{
        FILE *f = fopen(path, "rbe");
        uint8_t *data = malloc(size ? size : 1);
        bool ok = f && data && fread(data, 1, size, f) == size;

        if (ok)
                give(name, data, size);
        else
                printf("not ok %u - fuzz/%s/%s (cannot be read)\n", ++cases, target, name);
        free(data);
        if (f)
                fclose(f);
        return ok;
}

static bool replay(const char *path)
{
        const char *name = strrchr(path, '/');
        struct dirent **list = NULL;
        struct stat st;
        bool ok = true;
        int n;

        if (stat(path, &st))
                return false;
        if (!S_ISDIR(st.st_mode))
                return replay_file(path, name ? name + 1 : path, (size_t)st.st_size);
        n = scandir(path, &list, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                char *below = NULL;

                if (list[i]->d_name[0] != '.')
                        ok &= asprintf(&below, "%s/%s", path, list[i]->d_name) > 0 && replay(below);
                free(below);
                free(list[i]);
        }
        free(list);
        return ok && n >= 0;
}

int main(int argc, char **argv)
{
        bool ok = true;

        target = program_invocation_short_name;
        if (LLVMFuzzerInitialize)
                LLVMFuzzerInitialize(&argc, &argv);
        uint8_t *none = malloc(1);
        if (!none)
                return 2;
        give("empty", none, 0);
        free(none);
        for (int i = 1; i < argc; i++)
                ok &= replay(argv[i]);
        printf("1..%u\n", cases);
        return !ok;
}
