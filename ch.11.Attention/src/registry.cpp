//===- registry.cpp - what a context must know to run the pipeline --------===//
//
// A dialect's ops and its bufferization live in different libraries, so that a
// tool which never bufferizes need not link it. Whoever runs the whole pipeline
// names both: upstream's dialects with ch.4's function, and ours.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch11/Transformer.h"
#include "ch4/Bufferize.h"

using namespace mlir;

void ch11::registerDialects(DialectRegistry &registry) {
  ch4::registerDialects(registry);
  registry.insert<transformer::TransformerDialect>();
}
