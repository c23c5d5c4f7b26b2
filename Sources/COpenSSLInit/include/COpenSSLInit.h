#pragma once
// Nothing to call: whoever links this module has its start-up code (see start.c).
