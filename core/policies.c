/* SPDX-License-Identifier: MIT */
/*
 * The one table from name to policy; the first one is the default. A new policy
 * is a file in policy/ and a line here.
 */
#include "policy.h"

extern const policy policy_best_fit, policy_first_fit, policy_next_fit, policy_worst_fit, policy_good_fit,
    policy_buddy, policy_slab, policy_bump;

static const policy *const policies[] = {
    &policy_best_fit, &policy_first_fit, &policy_next_fit, &policy_worst_fit,
    &policy_good_fit, &policy_buddy,     &policy_slab,     &policy_bump,
};

const policy *policy_at(size_t number) {
    return number < sizeof policies / sizeof *policies ? policies[number] : NULL;
}

static bool same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

const policy *policy_named(const char *name) {
    const policy *found;
    for (size_t i = 0; (found = policy_at(i)); i++)
        if (same(found->info.name, name)) return found;
    return NULL;
}

const policy *policy_in_order(const policy *named, hpw_order order) {
    if (order == HPW_ORDER_RANDOM) return named->at_random;
    return order == HPW_ORDER_ADDRESS || named->info.takes_order ? named : NULL;
}

const hpw_policy_info *hpw_policy_at(size_t number) {
    const policy *found = policy_at(number);
    return found ? &found->info : NULL;
}
