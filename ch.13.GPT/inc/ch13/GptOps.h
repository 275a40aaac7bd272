//===- GptOps.h - the ops that ch.13 adds to the transformer dialect ------===//
#pragma once

#include "ch11/Transformer.h"

#define GET_OP_CLASSES
#include "ch13/GptOps.h.inc"

namespace ch13 {

/// Adds this chapter's ops to the dialect, in every context made from
/// `registry`.
void registerOps(mlir::DialectRegistry &registry);

} // namespace ch13
