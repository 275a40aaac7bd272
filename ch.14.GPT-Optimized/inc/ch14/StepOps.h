// StepOps.h - the ops of one inference step, added to the dialect
// `transformer`.
#pragma once

#include "ch11/Transformer.h"

#define GET_OP_CLASSES
#include "ch14/StepOps.h.inc"

namespace ch14 {

/// Adds this chapter's ops to ch.11's dialect, and the dialects they lower to.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace ch14
