// SPDX-License-Identifier: Apache-2.0
//
// What every noun stands on: moments, time limits, and how texts and objects cross.
#ifndef STAYLINE_BASE_HPP
#define STAYLINE_BASE_HPP

#include <stayline.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Whether this is compiled with exceptions. Without them (`-fno-exceptions`) an error that would be
/// thrown ends the process by `std::abort`, after its text on stderr: where errors are to be handled,
/// call the functions of stayline.h by `get()`.
#if defined(__cpp_exceptions)
#define STAYLINE_EXCEPTIONS 1
#else
#define STAYLINE_EXCEPTIONS 0
#endif

namespace stayline {

/// A point in time, to the ms.
using Moment = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

/// How long a call waits: 0 does not wait, `for_ever` waits for ever. A time below 0 is one that
/// is over, and counts as 0.
using TimeLimit = std::optional<std::chrono::milliseconds>;

/// No time limit.
inline constexpr std::nullopt_t for_ever = std::nullopt;

/// The library's version, as `STAYLINE_VERSION` of the header: `0.1.0`.
inline std::string_view version() {
    const stayline_view text = stayline_version();
    return {text.data, text.len};
}

/// The version of the library's interface; the one that this header needs is
/// `STAYLINE_ABI_VERSION`.
inline std::uint32_t abi_version() { return stayline_abi_version(); }

/// Not for hosts.
namespace detail {

/// Runs code of the host's that C has called: no exception gets out.
template <typename Code>
void swallowing(Code&& code) noexcept {
#if STAYLINE_EXCEPTIONS
    try {
        code();
    } catch (...) {
    }
#else
    code();
#endif
}

/// A text for C, read during the call. An empty one is a text all the same.
inline stayline_view given(std::string_view text) {
    return {text.data() != nullptr ? text.data() : "", text.size()};
}

/// A text for C, or none.
template <typename Text>
stayline_view given(const std::optional<Text>& text) {
    return text ? given(std::string_view(*text)) : stayline_view{nullptr, 0};
}

/// A text from C; empty for none.
inline std::string_view text(stayline_view view) {
    return view.data != nullptr ? std::string_view(view.data, view.len) : std::string_view();
}

/// A text from C that may be none.
inline std::optional<std::string_view> maybe_text(stayline_view view) {
    if (view.data == nullptr) {
        return std::nullopt;
    }
    return std::string_view(view.data, view.len);
}

/// Text that C puts out.
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { stayline_buffer_free(&buffer_); }

    stayline_buffer* out() { return &buffer_; }
    std::string text() const {
        return buffer_.data != nullptr ? std::string(buffer_.data, buffer_.len) : std::string();
    }
    std::optional<std::string> maybe_text() const {
        return buffer_.data != nullptr ? std::optional<std::string>(text()) : std::nullopt;
    }

private:
    stayline_buffer buffer_{nullptr, 0};
};

/// Texts as an array for C. Also an empty one has an address, which says "none" and not "all".
class Views {
public:
    template <typename Text>
    explicit Views(const std::vector<Text>& texts) {
        views_.reserve(texts.size() + 1);
        for (const Text& text : texts) {
            views_.push_back(given(std::string_view(text)));
        }
    }

    const stayline_view* data() const { return views_.data(); }
    std::size_t size() const { return views_.size(); }

private:
    std::vector<stayline_view> views_;
};

/// A time limit for C.
inline std::int64_t given(TimeLimit limit) {
    return limit ? (limit->count() > 0 ? limit->count() : 0) : -1;
}

/// A moment for C: ms since the Unix epoch.
inline std::int64_t given(Moment moment) { return moment.time_since_epoch().count(); }

/// A moment for C, or none.
inline std::int64_t given(std::optional<Moment> moment) {
    return moment ? given(*moment) : STAYLINE_NONE;
}

/// A moment from C.
inline Moment moment(std::int64_t ms) { return Moment(std::chrono::milliseconds(ms)); }

/// A moment from C that may be none.
inline std::optional<Moment> maybe_moment(std::int64_t ms) {
    return ms != STAYLINE_NONE ? std::optional<Moment>(moment(ms)) : std::nullopt;
}

/// A number of an enum from C, where 0 stands for none.
template <typename Enum>
std::optional<Enum> maybe_enum(std::int32_t number) {
    return number != 0 ? std::optional<Enum>(static_cast<Enum>(number)) : std::nullopt;
}

/// What belongs to the callback that C holds, freed by it with `drop`.
template <typename Function>
struct Callback {
    static void* keep(Function function) {
        return function ? new Function(std::move(function)) : nullptr;
    }
    static void drop(void* function) noexcept { delete static_cast<Function*>(function); }
};

}  // namespace detail
}  // namespace stayline

#endif  // STAYLINE_BASE_HPP
