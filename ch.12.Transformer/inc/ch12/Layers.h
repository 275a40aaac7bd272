//===- Layers.h - the op classes that ch.12 adds --------------------------===//
#pragma once

#include "ch11/Transformer.h"

#define GET_OP_CLASSES
#include "ch12/LayerOps.h.inc"
