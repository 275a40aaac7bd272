//===- bindings.cpp - ch16_nano_serving, the pool as Python sees it -------===//
//
// Numbers and arrays are checked here and refused with a sentence that names
// the argument, what was expected and what came: TypeError for a kind, and
// ValueError for a value. The caches go out as NumPy views of the pool's own
// memory; a view keeps the pool alive, so it never points at nothing.
//
//===----------------------------------------------------------------------===//
#include "ch1/Arrays.h"
#include "ch16/Arguments.h"
#include "ch16/KVCachePool.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>

namespace py = pybind11;
using ch16::KVCachePool;
using ch16::PoolShape;
using ch16::toInt;
using ch16::TokenRows;
using ch16::toPages;
using ch16::typeName;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// An array [tokens, heads, head_dim] of float32, of any strides. `owner` keeps
/// it alive while the rows are in use.
static TokenRows toRows(py::handle value, const std::string &name,
                        const PoolShape &shape, py::array &owner) {
  if (!py::isinstance<py::array>(value))
    throw py::type_error(name + " must be a NumPy array, got " +
                         typeName(value));
  owner = py::reinterpret_borrow<py::array>(value);
  if (!owner.dtype().equal(py::dtype::of<float>()))
    throw py::type_error(name + " must have dtype float32, got " +
                         std::string(py::str(owner.dtype())));
  if (owner.ndim() != 3 || owner.shape(1) != shape.numHeads ||
      owner.shape(2) != shape.headDim)
    throw py::value_error(
        name + " must have shape [tokens, " + std::to_string(shape.numHeads) +
        ", " + std::to_string(shape.headDim) + "], got " +
        std::string(py::str(py::object(owner.attr("shape")))));
  return {static_cast<const char *>(owner.data()), owner.shape(0),
          owner.strides(0), owner.strides(1), owner.strides(2)};
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

/// [pages, heads, rows, cols], or all layers with the layer axis in front.
static py::array view(py::object self, float *data, int64_t rows, int64_t cols,
                      int64_t layer = -1) {
  const PoolShape &shape = self.cast<KVCachePool &>().shape;
  std::vector<py::ssize_t> sizes = {shape.numPages, shape.numHeads, rows, cols};
  if (layer < 0)
    sizes.insert(sizes.begin(), shape.numLayers);
  else
    data += layer * (shape.numFloats() / shape.numLayers);
  return py::array(py::dtype::of<float>(), sizes, data, self);
}

static py::array kView(py::object self, int64_t layer = -1) {
  auto &pool = self.cast<KVCachePool &>();
  return view(self, pool.kCache(), pool.shape.headDim, pool.shape.pageSize,
              layer);
}

static py::array vView(py::object self, int64_t layer = -1) {
  auto &pool = self.cast<KVCachePool &>();
  return view(self, pool.vCache(), pool.shape.pageSize, pool.shape.headDim,
              layer);
}

//===----------------------------------------------------------------------===//
// Module
//===----------------------------------------------------------------------===//

PYBIND11_MODULE(ch16_nano_serving, m) {
  m.doc() = "The page pool of ch.16: keys and values of all requests, and who "
            "holds them; and the radix cache, which remembers what pages hold. "
            "The engine is the Python package nano_engine.";

  py::register_exception<ch16::OutOfPages>(m, "OutOfPages", PyExc_RuntimeError);
  py::register_exception<ch16::IntegrityError>(m, "IntegrityError",
                                               PyExc_RuntimeError);

  py::class_<KVCachePool, std::shared_ptr<KVCachePool>>(
      m, "KVCachePool",
      "Pages of keys and values with a reference count each.\n\n"
      "  k_cache float32 [layers, pages, heads, head_dim, page_size]\n"
      "  v_cache float32 [layers, pages, heads, page_size, head_dim]")
      .def(py::init([](py::object numPages, py::object pageSize,
                       py::object numLayers, py::object numHeads,
                       py::object headDim) {
             return std::make_shared<KVCachePool>(PoolShape{
                 toInt(numPages, "num_pages"), toInt(pageSize, "page_size"),
                 toInt(numLayers, "num_layers"), toInt(numHeads, "num_heads"),
                 toInt(headDim, "head_dim")});
           }),
           py::arg("num_pages"), py::arg("page_size"), py::arg("num_layers"),
           py::arg("num_heads"), py::arg("head_dim"))

      .def_property_readonly("num_pages",
                             [](KVCachePool &p) { return p.shape.numPages; })
      .def_property_readonly("page_size",
                             [](KVCachePool &p) { return p.shape.pageSize; })
      .def_property_readonly("num_layers",
                             [](KVCachePool &p) { return p.shape.numLayers; })
      .def_property_readonly("num_heads",
                             [](KVCachePool &p) { return p.shape.numHeads; })
      .def_property_readonly("head_dim",
                             [](KVCachePool &p) { return p.shape.headDim; })
      .def_property_readonly(
          "num_bytes",
          [](KVCachePool &p) {
            return 2 * p.shape.numFloats() * int64_t(sizeof(float));
          },
          "Bytes of both caches together.")
      .def_property_readonly("num_free_pages", &KVCachePool::numFreePages)

      .def(
          "pages_needed",
          [](KVCachePool &p, py::object n) {
            return p.pagesNeeded(toInt(n, "num_tokens"));
          },
          py::arg("num_tokens"), "How many pages so many tokens fill.")
      .def(
          "can_allocate",
          [](KVCachePool &p, py::object n) {
            return p.canAllocate(toInt(n, "num_tokens"));
          },
          py::arg("num_tokens"))
      .def(
          "allocate",
          [](KVCachePool &p, py::object n) {
            return p.allocate(toInt(n, "num_tokens"));
          },
          py::arg("num_tokens"),
          "Takes pages for so many tokens, or raises OutOfPages and takes "
          "none.")
      .def(
          "allocate_contiguous",
          [](KVCachePool &p, py::object n) {
            return p.allocateContiguous(toInt(n, "num_tokens"));
          },
          py::arg("num_tokens"), "The same, as pages that follow one another.")
      .def(
          "share",
          [](KVCachePool &p, py::object pages) { p.share(toPages(pages)); },
          py::arg("pages"), "One more holder for each of these pages.")
      .def(
          "free",
          [](KVCachePool &p, py::object pages) { p.free(toPages(pages)); },
          py::arg("pages"),
          "One holder less for each of these pages; the last one frees it.")
      .def(
          "ref_count",
          [](KVCachePool &p, py::object page) {
            return p.refCount(toInt(page, "page"));
          },
          py::arg("page"), "How many hold this page; 0 if it is free.")

      .def(
          "store_kv",
          [](KVCachePool &p, py::object k, py::object v, py::object pages,
             py::object layer) {
            py::array kOwner, vOwner;
            TokenRows kRows = toRows(k, "k", p.shape, kOwner);
            TokenRows vRows = toRows(v, "v", p.shape, vOwner);
            std::vector<int64_t> pageTable = toPages(pages);
            int64_t layerNumber = toInt(layer, "layer");
            py::gil_scoped_release release;
            p.storeKV(kRows, vRows, pageTable, layerNumber);
          },
          py::arg("k"), py::arg("v"), py::arg("pages"), py::arg("layer"),
          "Writes k and v, float32 [tokens, heads, head_dim], into one layer "
          "of these pages.")
      .def(
          "get_layer_cache",
          [](py::object self, py::object layer) {
            int64_t number = toInt(layer, "layer");
            self.cast<KVCachePool &>().requireLayer(number);
            return py::make_tuple(kView(self, number), vView(self, number));
          },
          py::arg("layer"),
          "(k [pages, heads, head_dim, page_size], v [pages, heads, "
          "page_size, head_dim]) of one layer, without a copy.")
      .def_property_readonly("k_cache",
                             [](py::object self) { return kView(self); })
      .def_property_readonly("v_cache",
                             [](py::object self) { return vView(self); })

      .def(
          "check_integrity",
          [](KVCachePool &p, py::object pageTables) {
            if (pageTables.is_none())
              return p.checkIntegrity();
            std::vector<std::vector<int64_t>> holders;
            for (py::handle pages : pageTables)
              holders.push_back(
                  toPages(pages, "page_tables[" +
                                     std::to_string(holders.size()) + "]"));
            p.checkIntegrity(holders);
          },
          py::arg("page_tables") = py::none(),
          "Raises IntegrityError unless every page is free or counted, and, "
          "given the page tables of all holders, counted right.")
      .def("__repr__", [](KVCachePool &p) {
        return "<KVCachePool: " + std::to_string(p.numFreePages()) + " of " +
               std::to_string(p.shape.numPages) + " pages of " +
               std::to_string(p.shape.pageSize) + " tokens free>";
      });

  ch16::bindRadixCache(m);
  ch16::bindSampling(m);

  // What this chapter runs is ch.14's step: to look at it, ask there.
  ch1::bindPythonNames(
      m, {{"ch14_gpt_optimized",
           {"ir", "stages", "llvm_ir", "assembly", "CompileError"}}});
}
