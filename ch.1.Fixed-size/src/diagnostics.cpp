// diagnostics.cpp - MLIR's errors, collected and thrown as one exception.
#include "ch1/Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ch1 {

static StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Remark:
    return "remark";
  case DiagnosticSeverity::Note:
    return "note";
  }
  return "diagnostic";
}

static void append(std::string &text, StringRef indent,
                   Diagnostic &diagnostic) {
  llvm::raw_string_ostream os(text);
  os << indent;
  // IR that was parsed knows its line; IR that was built may know nothing.
  Location loc = diagnostic.getLocation();
  if (auto line = loc->findInstanceOf<FileLineColLoc>())
    os << line.getFilename().getValue() << ":" << line.getLine() << ":"
       << line.getColumn() << ": ";
  os << severityName(diagnostic.getSeverity()) << ": " << diagnostic << "\n";
}

// [collector]
DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        append(collected, "", diagnostic);
        for (Diagnostic &note : diagnostic.getNotes())
          append(collected, "  ", note);
        return success(); // handled: nothing goes to stderr
      }) {}

void DiagnosticCollector::raise(const std::string &what) const {
  StringRef details = StringRef(collected).rtrim();
  throw CompileError(details.empty() ? what : what + "\n" + details.str());
}
// [/collector]

} // namespace ch1
