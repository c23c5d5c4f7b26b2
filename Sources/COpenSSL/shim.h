#pragma once
// Only what Swift cannot import by itself: function-like macros and variadic calls.
#include "signatures.h"
#include "tls.h"
