/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/recall.h - what the journal of the server before says, made true again
 *
 * Tasks are absent until they come back; who has died meanwhile is buried, and those who watch are told. Then
 * names are there before any of their owners has said them again.
 */
#pragma once
#include "server/server.h"

/**
 * recall - open the journal that was kept, or make one that is kept from now on
 *
 * One that is damaged, or of another version, is refused with a line on stderr and dropped: then the server
 * begins with nothing, as one does without a store. Without a store there is no journal. Never fails for good.
 */
void recall(struct server *server);
