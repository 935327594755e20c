#ifndef CRR_SERVER_METRIC_PAGE_H_
#define CRR_SERVER_METRIC_PAGE_H_

#include <prometheus/metric_family.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace crr {

// The families of one scrape, in the order in which they are begun; values go
// to the one that was begun last. Thread-compatible.
class MetricPage {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  void BeginCounter(const std::string& name, const std::string& help) {
    families_.push_back({name, help, prometheus::MetricType::Counter, {}});
  }
  void BeginGauge(const std::string& name, const std::string& help) {
    families_.push_back({name, help, prometheus::MetricType::Gauge, {}});
  }
  void BeginHistogram(const std::string& name, const std::string& help) {
    families_.push_back({name, help, prometheus::MetricType::Histogram, {}});
  }

  template <typename Number>
  void Value(Number value, Labels labels = {}) {
    prometheus::ClientMetric& metric = Add(std::move(labels));
    metric.counter.value = static_cast<double>(value);
    metric.gauge.value = metric.counter.value;
  }

  void Value(const Histogram& histogram, Labels labels = {}) {
    prometheus::ClientMetric::Histogram& metric =
        Add(std::move(labels)).histogram;
    for (size_t i = 0; i < histogram.counts().size(); ++i) {
      metric.sample_count += static_cast<uint64_t>(histogram.counts()[i]);
      // The serialiser adds the bucket of all.
      if (i == histogram.bounds().size()) break;
      metric.bucket.push_back({metric.sample_count, histogram.bounds()[i]});
    }
    metric.sample_sum = histogram.sum();
  }

  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  prometheus::ClientMetric& Add(Labels labels) {
    prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace crr

#endif  // CRR_SERVER_METRIC_PAGE_H_
