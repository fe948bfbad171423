/* SPDX-License-Identifier: MIT */
/* The files of a recording: FILE, FILE.N-NAME of its children, FILE.count. For record.c. */
#ifndef HPW_RECORD_FILES_H
#define HPW_RECORD_FILES_H

#include "record.h"

/* Removes FILE, FILE.count, and those FILE.N-NAME that are traces. */
void hpw_record_remove(const char *file);

/* Reads what was written into recording->traces. False without memory. Removes FILE.count. */
bool hpw_record_list(const char *file, hpw_recording *recording);

#endif
