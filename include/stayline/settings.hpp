// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SETTINGS_HPP
#define STAYLINE_SETTINGS_HPP

#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_settings> {
    static void free(stayline_settings* settings) noexcept { stayline_settings_free(settings); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_settings_check(nullptr, out_error);
    }
};
}  // namespace detail

/// Every bound and every delay (docs/settings.md). Made with the defaults, changed one by one, and
/// copied by whatever takes it: changing it later changes nothing that is open. Any thread may
/// use it.
class Settings : public detail::Handle<stayline_settings> {
public:
    /// Settings with every default.
    Settings() : Settings(made()) {}

    /// Takes C's object over.
    explicit Settings(stayline_settings* taken) noexcept : Handle(taken) {}

    /// Sets one by its name: `disconnect_grace_ms`. The value is JSON: `20000`, `null`,
    /// `"drop_oldest"`, `["heartbeat"]`. Returns itself. Throws `InvalidArgument` for a name that
    /// is none or a value of another shape; then nothing is changed.
    Settings& set(std::string_view name, std::string_view value) {
        detail::call(stayline_settings_set, get(), detail::given(name), detail::given(value));
        return *this;
    }

    /// Reads one by its name, as JSON. Throws `InvalidArgument` for a name that is none.
    std::string get(std::string_view name) const {
        detail::Buffer value;
        detail::call(stayline_settings_get, get(), detail::given(name), value.out());
        return value.text();
    }

    using Handle::get;

    /// All of them: a JSON object with every name.
    std::string json() const {
        detail::Buffer text;
        detail::call(stayline_settings_json, get(), text.out());
        return text.text();
    }

    /// Checks that no two contradict each other (R24); whatever takes settings does it too. Throws
    /// `InvalidSettings`, or `InvalidArgument` for a value that makes no sense alone.
    void check() const { detail::call(stayline_settings_check, get()); }

    /// What settings there are: a JSON array of `{name, about, shape, default}`.
    static std::string table() {
        detail::Buffer text;
        detail::call(stayline_settings_table, text.out());
        return text.text();
    }

private:
    static stayline_settings* made() {
        stayline_settings* settings = nullptr;
        detail::call(stayline_settings_new, &settings);
        return settings;
    }
};

}  // namespace stayline

#endif  // STAYLINE_SETTINGS_HPP
