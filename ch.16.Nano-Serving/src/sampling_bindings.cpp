//===- sampling_bindings.cpp - Sampling.h as Python sees it ---------------===//
//
// What requests ask is read first, then the interpreter goes free while all
// rows are gone through, one after the other.
//
//===----------------------------------------------------------------------===//
#include "ch16/Arguments.h"
#include "ch16/Sampling.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace py = pybind11;
using namespace ch16;
using Row = py::array_t<float, py::array::c_style>;

static std::string shapeOf(const py::array &array) {
  return py::str(py::object(array.attr("shape")));
}

static void requireRow(const Row &row, const std::string &name) {
  if (row.ndim() != 1 || row.size() == 0)
    throw py::value_error(name + " must have shape [1 or more], got " +
                          shapeOf(row));
}

//===----------------------------------------------------------------------===//
// What a request asks
//===----------------------------------------------------------------------===//

static int64_t toToken(py::handle value, const char *name, int64_t vocabSize) {
  const auto token = value.cast<int64_t>();
  if (token < 0 || token >= vocabSize)
    throw py::value_error(
        "a token of " + std::string(name) + " must be between 0 and " +
        std::to_string(vocabSize - 1) + ", got " + std::to_string(token));
  return token;
}

static std::vector<int64_t> toTokens(py::handle request, const char *name,
                                     int64_t vocabSize) {
  std::vector<int64_t> tokens;
  for (py::handle value : request.attr(name).cast<py::list>())
    tokens.push_back(toToken(value, name, vocabSize));
  return tokens;
}

/// Reads a Request and its SamplingParams.
static Wish toWish(py::handle request, std::optional<int64_t> eosToken,
                   int64_t vocabSize) {
  py::object params = request.attr("params");
  auto number = [&](const char *name) {
    return params.attr(name).cast<double>();
  };
  Wish wish;
  wish.seed = request.attr("seed").cast<uint64_t>();
  wish.position = request.attr("num_tokens").cast<uint64_t>();
  wish.filters = {
      number("temperature"),
      params.attr("top_k").cast<std::optional<int64_t>>().value_or(0),
      number("top_p"), number("min_p")};
  wish.numLogprobs =
      params.attr("logprobs").cast<std::optional<int64_t>>().value_or(-1);
  wish.changesLogits = params.attr("changes_logits").cast<bool>();
  if (!wish.changesLogits)
    return wish;

  wish.penalties = {number("repetition_penalty"), number("presence_penalty"),
                    number("frequency_penalty")};
  wish.prompt = toTokens(request, "prompt_tokens", vocabSize);
  wish.output = toTokens(request, "output_tokens", vocabSize);
  for (py::handle pair : params.attr("logit_bias"))
    wish.bias.emplace_back(toToken(pair[py::int_(0)], "logit_bias", vocabSize),
                           pair[py::int_(1)].cast<double>());
  // No end before min_tokens.
  if (int64_t(wish.output.size()) < params.attr("min_tokens").cast<int64_t>()) {
    constexpr double never = -std::numeric_limits<double>::infinity();
    for (py::handle token : params.attr("stop_token_ids"))
      wish.bias.emplace_back(toToken(token, "stop_token_ids", vocabSize),
                             never);
    if (eosToken && !params.attr("ignore_eos").cast<bool>())
      wish.bias.emplace_back(
          toToken(py::int_(*eosToken), "eos_token_id", vocabSize), never);
  }
  return wish;
}

//===----------------------------------------------------------------------===//
// Module
//===----------------------------------------------------------------------===//

void ch16::bindSampling(py::module_ &m) {
  m.def(
      "choose",
      [](py::array_t<float> logits, const py::sequence &requests,
         std::optional<int64_t> eosToken) {
        if (logits.ndim() != 2 || logits.shape(1) == 0 ||
            logits.shape(0) != py::ssize_t(requests.size()))
          throw py::value_error(
              "logits must have shape [" + std::to_string(requests.size()) +
              " requests, 1 or more], got " + shapeOf(logits));
        // The rows may lie apart. NumPy would copy them all to change that.
        if (logits.strides(1) != sizeof(float))
          logits = Row(logits);
        std::vector<Wish> wishes;
        for (py::handle request : requests)
          wishes.push_back(toWish(request, eosToken, logits.shape(1)));

        std::vector<Chosen> chosen;
        {
          auto rows = logits.unchecked<2>();
          py::gil_scoped_release release;
          for (py::ssize_t r = 0; r < rows.shape(0); ++r)
            chosen.push_back(choose(rows.data(r, 0), rows.shape(1), wishes[r]));
        }
        py::list tuples;
        for (Chosen &each : chosen)
          tuples.append(py::make_tuple(each.token, each.top, each.logprob,
                                       each.logprobs));
        return tuples;
      },
      py::arg("logits"), py::arg("requests"),
      py::arg("eos_token_id") = py::none(),
      "For each row of logits float32 [R, vocab] and its Request: (token or "
      "None, the largest logit, the token's log-probability, [(token, "
      "log-probability)] of the likeliest).");
  m.def(
      "adjust",
      [](const Row &logits, py::handle request,
         std::optional<int64_t> eosToken) {
        requireRow(logits, "logits");
        Row changed(logits.size());
        std::copy_n(logits.data(), logits.size(), changed.mutable_data());
        adjust(changed.mutable_data(), logits.size(),
               toWish(request, eosToken, logits.size()));
        return changed;
      },
      py::arg("logits"), py::arg("request"),
      py::arg("eos_token_id") = py::none(),
      "What logits float32 [vocab] become by the Request's penalties and "
      "biases, and by no end before its min_tokens.");
  m.def(
      "likeliest",
      [](Row logits) {
        requireRow(logits, "logits");
        return likeliest(logits.data(), logits.size());
      },
      py::arg("logits"),
      "(token, logit): the first of the largest of logits float32 [vocab]; the "
      "logit is NaN if any of them is.");
  m.def(
      "weigh",
      [](Row logits, double temperature, std::optional<int64_t> topK,
         double topP, double minP) {
        requireRow(logits, "logits");
        const float top = likeliest(logits.data(), logits.size()).second;
        if (!std::isfinite(top))
          throw py::value_error("the largest of logits must be finite, got " +
                                std::string(py::str(py::float_(top))));
        if (topK && *topK < 1)
          throw py::value_error("top_k must be at least 1, got " +
                                std::to_string(*topK));
        Row weights(logits.size());
        weigh(logits.data(), logits.size(), top,
              {temperature, topK.value_or(0), topP, minP},
              weights.mutable_data());
        return weights;
      },
      py::arg("logits"), py::kw_only(), py::arg("temperature") = 1.0,
      py::arg("top_k") = py::none(), py::arg("top_p") = 1.0,
      py::arg("min_p") = 0.0,
      "Probabilities times some number, float32 [vocab]: 1 for the likeliest "
      "of logits float32 [vocab], 0 for what a filter leaves out.");
  m.def("uniform", &uniform, py::arg("seed"), py::arg("position"),
        "A number in [0, 1), ch.13's uniform.");
  m.def(
      "draw",
      [](Row weights, double uniform) {
        requireRow(weights, "weights");
        return draw(weights.data(), weights.size(), uniform);
      },
      py::arg("weights"), py::arg("uniform"),
      "The index at which the running sum of weights float32 [N] passes "
      "uniform times their sum.");
}
