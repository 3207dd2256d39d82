/* SPDX-License-Identifier: Apache-2.0 */
/* link/trace_frame.h - a frame as a line of text, for PORTOLAN_TRACE */
#pragma once
#include "base/trace.h"
#include "wire/frame.h"

/* @body is the peer's or ours; only its bounded beginning is read. */
void ptl_trace_frame(const struct ptl_identity *peer, bool sent, const struct ptl_frame_head *head,
                     const void *body);
