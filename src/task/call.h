/* SPDX-License-Identifier: Apache-2.0 */
/* task/call.h - what the rest of the task does to calls */
#pragma once

void ptl_call_forked(void); /* in a child: threads' reply ports were the parent's */
void ptl_call_left(void);   /* all names are gone */
