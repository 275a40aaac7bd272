// jit.cpp - a module of the llvm dialect, compiled for this machine and
// callable.
//
//   llvm dialect --translate--> LLVM IR --optimize--> LLVM IR --codegen-->
//   address
//
// ExecutionEngine does all three. llvmIR() and assembly() stop after the second
// and the third and print what is there; they go the same way with the same
// target machine, so what they show is what runs.
#include "ch1/Jit.h"
#include "ch1/Diagnostics.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/Mangling.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace mlir;

namespace ch1 {

// [take]
/// Takes the value out of an Expected, or throws what LLVM has to say.
template <typename T>
static T take(llvm::Expected<T> expected, const std::string &what) {
  if (!expected)
    throw CompileError(what + ": " + llvm::toString(expected.takeError()));
  return std::move(*expected);
}
// [/take]

// [target-machine]
static llvm::orc::JITTargetMachineBuilder
hostTarget(const JitOptions &options) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  // detectHost() asks the processor for its name and features (AVX-512 or not).
  auto builder = take(llvm::orc::JITTargetMachineBuilder::detectHost(),
                      "the host's processor is unknown to LLVM");
  builder.setCodeGenOptLevel(
      static_cast<llvm::CodeGenOptLevel>(options.optLevel));
  if (options.positionIndependent)
    builder.setRelocationModel(llvm::Reloc::PIC_)
        .setCodeModel(llvm::CodeModel::Small);
  return builder;
}

static std::unique_ptr<llvm::TargetMachine>
hostTargetMachine(const JitOptions &options) {
  return take(hostTarget(options).createTargetMachine(),
              "no target machine for the host");
}
// [/target-machine]

// [symbols]
/// What the module calls and nothing defines. LLVM would look when the code is
/// linked, and report it on the terminal.
static void checkSymbols(ModuleOp module, const JitOptions &options) {
  if (!options.sharedLibraries.empty())
    return; // loaded later: they may define anything
  // The process itself: without it only libraries that somebody opened by name
  // are searched.
  llvm::sys::DynamicLibrary::LoadLibraryPermanently(nullptr);
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    std::string name = function.getName().str();
    bool isGiven = llvm::any_of(options.symbols, [&](const auto &symbol) {
      return symbol.first == name;
    });
    if (function.isExternal() && !function.getName().starts_with("llvm.") &&
        !isGiven && !llvm::sys::DynamicLibrary::SearchForAddressOfSymbol(name))
      throw CompileError("the module calls '" + name +
                         "', which nothing here defines");
  }
}
// [/symbols]

// [create]
Jit::Jit(ModuleOp module, const JitOptions &options) {
  checkSymbols(module, options);
  DiagnosticCollector diagnostics(module.getContext());
  std::unique_ptr<llvm::TargetMachine> machine = hostTargetMachine(options);

  // The engine keeps only a reference to this callable: it must outlive
  // create().
  auto optimize = makeOptimizingTransformer(options.optLevel, /*sizeLevel=*/0,
                                            machine.get());
  SmallVector<StringRef> libraries(options.sharedLibraries.begin(),
                                   options.sharedLibraries.end());
  ExecutionEngineOptions engineOptions;
  engineOptions.transformer = optimize;
  engineOptions.jitCodeGenOptLevel =
      static_cast<llvm::CodeGenOptLevel>(options.optLevel);
  engineOptions.sharedLibPaths = libraries;
  engineOptions.enableObjectDump = false;
  engineOptions.enableGDBNotificationListener = false;
  engineOptions.enablePerfNotificationListener = false;
  auto created =
      ExecutionEngine::create(module, engineOptions, std::move(machine));
  if (!created)
    diagnostics.raise("the module was not compiled: " +
                      llvm::toString(created.takeError()));
  engine = std::move(*created);
  engine->registerSymbols([&](llvm::orc::MangleAndInterner mangle) {
    llvm::orc::SymbolMap symbols;
    for (const auto &[name, address] : options.symbols)
      symbols[mangle(name)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                               llvm::JITSymbolFlags::Exported};
    return symbols;
  });
  // The engine's destructor calls this function, which is compiled when it is
  // first looked up: do that now. A process may be at its end by then, with
  // LLVM's own static objects gone.
  lookup("__lljit_run_atexits");
}
// [/create]

Jit::~Jit() = default;

void *Jit::lookup(StringRef function) const {
  return take(engine->lookup(function),
              "no compiled function '" + function.str() + "'");
}

void Jit::invoke(StringRef function, MutableArrayRef<void *> arguments) const {
  if (llvm::Error error = engine->invokePacked(function, arguments))
    throw CompileError("the call of '" + function.str() +
                       "' failed: " + llvm::toString(std::move(error)));
}

namespace {

/// A module on its way to assembly: LLVM IR, optimized for the host.
struct HostModule {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;

  HostModule(ModuleOp source, const JitOptions &options)
      : machine(hostTargetMachine(options)) {
    DiagnosticCollector diagnostics(source.getContext());
    module = translateModuleToLLVMIR(source, context);
    if (!module)
      diagnostics.raise("the module has no translation to LLVM IR");
    module->setDataLayout(machine->createDataLayout());
    module->setTargetTriple(machine->getTargetTriple());
    auto optimize =
        makeOptimizingTransformer(options.optLevel, 0, machine.get());
    if (llvm::Error error = optimize(module.get()))
      throw CompileError("LLVM's optimizer failed: " +
                         llvm::toString(std::move(error)));
  }
};

} // namespace

std::string llvmIR(ModuleOp module, const JitOptions &options) {
  HostModule host(module, options);
  std::string text;
  llvm::raw_string_ostream os(text);
  host.module->print(os, nullptr);
  return text;
}

static std::string emit(HostModule &host, llvm::CodeGenFileType type) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager codegen;
  if (host.machine->addPassesToEmitFile(codegen, os, nullptr, type))
    throw CompileError("LLVM cannot print code for this host");
  codegen.run(*host.module);
  return text.str().str();
}

std::string assembly(ModuleOp module, const JitOptions &options) {
  HostModule host(module, options);
  return emit(host, llvm::CodeGenFileType::AssemblyFile);
}

// [object]
/// void _mlir_NAME(void **arguments): each element points to one argument.
static void addPackedWrapper(llvm::Function &function) {
  llvm::Module &module = *function.getParent();
  llvm::IRBuilder<> b(module.getContext());
  auto *wrapper = llvm::Function::Create(
      llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false),
      llvm::Function::ExternalLinkage, "_mlir_" + function.getName(), module);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "", wrapper));
  llvm::Value *list = wrapper->getArg(0);
  llvm::SmallVector<llvm::Value *> arguments;
  for (llvm::Argument &argument : function.args()) {
    llvm::Value *place =
        b.CreateConstGEP1_64(b.getPtrTy(), list, argument.getArgNo());
    arguments.push_back(
        b.CreateLoad(argument.getType(), b.CreateLoad(b.getPtrTy(), place)));
  }
  llvm::Value *result = b.CreateCall(&function, arguments);
  if (!result->getType()->isVoidTy())
    b.CreateStore(result, b.CreateLoad(b.getPtrTy(),
                                       b.CreateConstGEP1_64(b.getPtrTy(), list,
                                                            arguments.size())));
  b.CreateRetVoid();
}

std::string objectCode(ModuleOp module, const JitOptions &options) {
  checkSymbols(module, options);
  HostModule host(module, options);
  SmallVector<llvm::Function *> functions; // before wrappers are among them
  for (llvm::Function &function : *host.module)
    if (!function.isDeclaration() && !function.hasLocalLinkage())
      functions.push_back(&function);
  for (llvm::Function *function : functions)
    addPackedWrapper(*function);
  return emit(host, llvm::CodeGenFileType::ObjectFile);
}

std::string hostText(const JitOptions &options) {
  auto target = hostTarget(options);
  std::string text;
  llvm::raw_string_ostream(text)
      << target.getTargetTriple().str() << " " << target.getCPU() << " "
      << target.getFeatures().getString() << " O" << options.optLevel
      << (options.positionIndependent ? " pic" : "");
  return text;
}
// [/object]

} // namespace ch1
