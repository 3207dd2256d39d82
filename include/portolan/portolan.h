/* SPDX-License-Identifier: Apache-2.0 */
/* portolan/portolan.h - the whole native C API: include this one */
#ifndef PORTOLAN_PORTOLAN_H
#define PORTOLAN_PORTOLAN_H

#include <portolan/control.h>
#include <portolan/inspect.h>
#include <portolan/message.h>
#include <portolan/name.h>
#include <portolan/outcome.h>
#include <portolan/port.h>
#include <portolan/quota.h>
#include <portolan/region.h>
#include <portolan/right.h>
#include <portolan/task.h>
#include <portolan/types.h>
#include <portolan/version.h>

#endif
