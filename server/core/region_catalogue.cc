#include "server/core/region_catalogue.h"

#include <array>

namespace crr {
namespace {

struct Entry {
  const char* id;
  const char* city;
  Area area;
};

constexpr Area kMainland = Area::kMainlandChina;
constexpr Area kOutside = Area::kOutsideMainlandChina;

// Mainland China is every region in China but Hong Kong (seed 2, note).
constexpr std::array kEntries = {
    Entry{"oss-cn-hangzhou", "China (Hangzhou)", kMainland},
    Entry{"oss-cn-shanghai", "China (Shanghai)", kMainland},
    Entry{"oss-cn-qingdao", "China (Qingdao)", kMainland},
    Entry{"oss-cn-beijing", "China (Beijing)", kMainland},
    Entry{"oss-cn-zhangjiakou", "China (Zhangjiakou)", kMainland},
    Entry{"oss-cn-huhehaote", "China (Hohhot)", kMainland},
    Entry{"oss-cn-wulanchabu", "China (Ulanqab)", kMainland},
    Entry{"oss-cn-shenzhen", "China (Shenzhen)", kMainland},
    Entry{"oss-cn-heyuan", "China (Heyuan)", kMainland},
    Entry{"oss-cn-guangzhou", "China (Guangzhou)", kMainland},
    Entry{"oss-cn-chengdu", "China (Chengdu)", kMainland},
    Entry{"oss-cn-nanjing", "China (Nanjing)", kMainland},
    Entry{"oss-cn-fuzhou", "China (Fuzhou)", kMainland},
    Entry{"oss-cn-wuhan-lr", "China (Wuhan)", kMainland},
    Entry{"oss-cn-zhongwei", "China (Zhongwei)", kMainland},
    Entry{"oss-rg-china-mainland", "China (no region attribute)", kMainland},
    Entry{"oss-cn-hongkong", "China (Hong Kong)", kOutside},
    Entry{"oss-us-west-1", "US (Silicon Valley)", kOutside},
    Entry{"oss-us-east-1", "US (Virginia)", kOutside},
    Entry{"oss-na-south-1", "Mexico", kOutside},
    Entry{"oss-ap-southeast-1", "Singapore", kOutside},
    Entry{"oss-ap-southeast-2", "Australia (Sydney)", kOutside},
    Entry{"oss-ap-southeast-3", "Malaysia (Kuala Lumpur)", kOutside},
    Entry{"oss-ap-southeast-5", "Indonesia (Jakarta)", kOutside},
    Entry{"oss-ap-southeast-6", "Philippines (Manila)", kOutside},
    Entry{"oss-ap-southeast-7", "Thailand (Bangkok)", kOutside},
    Entry{"oss-ap-southeast-8", "Malaysia (Johor)", kOutside},
    Entry{"oss-ap-northeast-1", "Japan (Tokyo)", kOutside},
    Entry{"oss-ap-northeast-2", "South Korea (Seoul)", kOutside},
    Entry{"oss-ap-south-1", "India (Mumbai)", kOutside},
    Entry{"oss-eu-central-1", "Germany (Frankfurt)", kOutside},
    Entry{"oss-eu-west-1", "UK (London)", kOutside},
    Entry{"oss-eu-west-2", "France (Paris)", kOutside},
    Entry{"oss-me-east-1", "UAE (Dubai)", kOutside},
    Entry{"oss-me-central-1", "Saudi Arabia (Riyadh)", kOutside},
    Entry{"oss-rus-west-1", "Russia (Moscow)", kOutside},
};

}  // namespace

std::vector<Region> OssRegions(absl::Time now) {
  std::vector<Region> regions;
  for (const Entry& entry : kEntries) {
    regions.push_back({.id = entry.id,
                       .area = entry.area,
                       .display_name = entry.city,
                       .store_root = std::nullopt,
                       .credentials = "",
                       .create_time = now,
                       .update_time = now});
  }
  return regions;
}

}  // namespace crr
