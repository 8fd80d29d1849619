// SPDX-License-Identifier: Apache-2.0
//
// Reading the arguments of one operation. A missing one and null are the same, except where
// `given` is asked.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stayline.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "raw.hpp"

using Json = nlohmann::json;

/// The operation exists, its arguments do not fit.
class BadArgument : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// No operation of this name.
class UnknownOperation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What is none becomes null.
template <typename Value>
Json nullable(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

/// A moment, in ms.
inline Json moment_json(std::optional<stayline::Moment> moment) {
    return moment ? Json(moment->time_since_epoch().count()) : Json();
}

/// The name of a number that may be none.
template <typename Enum>
Json name_of(std::optional<Enum> value) {
    return value ? Json(to_string(*value)) : Json();
}

/// The fields of one request.
class Arguments {
public:
    /// The fields of `line`.
    Arguments(const Json& fields, const std::string& line) : fields_(fields), line_(line) {}

    /// One as it is; NULL only when it is missing.
    const Json* given(const char* name) const {
        const auto found = fields_.find(name);
        return found != fields_.end() ? &*found : nullptr;
    }

    /// The JSON of one, byte for byte as it stands in the request; null too.
    std::optional<std::string> json(const char* name) const { return raw_field(line_, name); }

    /// A string.
    std::string text(const char* name) const { return required(name, optional_text(name)); }

    /// A string, or nothing.
    std::optional<std::string> optional_text(const char* name) const {
        const Json* value = find(name);
        if (value == nullptr) {
            return std::nullopt;
        }
        expect(value->is_string(), name, *value, "a string");
        return value->get<std::string>();
    }

    /// An integer, or nothing.
    std::optional<std::int64_t> optional_integer(const char* name) const {
        const Json* value = find(name);
        if (value == nullptr) {
            return std::nullopt;
        }
        const bool fits = value->is_number_integer() &&
                          !(value->is_number_unsigned() && value->get<std::uint64_t>() > largest);
        expect(fits, name, *value, "an integer");
        return value->get<std::int64_t>();
    }

    /// An integer.
    std::int64_t integer(const char* name) const { return required(name, optional_integer(name)); }

    /// An integer that is not negative and fits the type, or nothing.
    template <typename Number>
    std::optional<Number> optional_number(const char* name) const {
        const std::optional<std::int64_t> value = optional_integer(name);
        if (!value) {
            return std::nullopt;
        }
        const bool fits = *value >= 0 && static_cast<std::uint64_t>(*value) <=
                                             std::uint64_t{std::numeric_limits<Number>::max()};
        expect(fits, name, Json(*value), "a small enough integer from 0");
        return static_cast<Number>(*value);
    }

    /// The same, which must be there.
    template <typename Number>
    Number number(const char* name) const {
        return required(name, optional_number<Number>(name));
    }

    /// True or false; false when missing.
    bool flag(const char* name) const {
        const Json* value = find(name);
        if (value == nullptr) {
            return false;
        }
        expect(value->is_boolean(), name, *value, "true or false");
        return value->get<bool>();
    }

    /// A moment.
    stayline::Moment moment(const char* name) const {
        return stayline::Moment(std::chrono::milliseconds(integer(name)));
    }

    /// A moment, or nothing.
    std::optional<stayline::Moment> optional_moment(const char* name) const {
        const std::optional<std::int64_t> value = optional_integer(name);
        return value ? std::optional(stayline::Moment(std::chrono::milliseconds(*value)))
                     : std::nullopt;
    }

    /// An object as JSON, or nothing.
    std::optional<std::string> optional_object(const char* name) const {
        const Json* value = find(name);
        if (value == nullptr) {
            return std::nullopt;
        }
        expect(value->is_object(), name, *value, "an object");
        return value->dump();
    }

    /// A list of strings, or nothing.
    std::optional<std::vector<std::string>> optional_texts(const char* name) const {
        const Json* value = find(name);
        if (value == nullptr) {
            return std::nullopt;
        }
        expect(value->is_array(), name, *value, "a list of strings");
        std::vector<std::string> texts;
        for (const Json& item : *value) {
            expect(item.is_string(), name, *value, "a list of strings");
            texts.push_back(item.get<std::string>());
        }
        return texts;
    }

    /// One of an enum's words, or nothing.
    template <typename Enum>
    std::optional<Enum> optional_word(const char* name, std::initializer_list<Enum> words) const {
        const std::optional<std::string> value = optional_text(name);
        if (!value) {
            return std::nullopt;
        }
        for (const Enum word : words) {
            if (to_string(word) == *value) {
                return word;
            }
        }
        throw BadArgument("argument \"" + std::string(name) + "\" is no known word");
    }

    /// The settings, by their full names. What they are refused with is Stayline's error.
    stayline::Settings settings() const {
        stayline::Settings settings;
        const Json* given = find("settings");
        if (given != nullptr) {
            expect(given->is_object(), "settings", *given, "an object");
            for (const auto& [name, value] : given->items()) {
                settings.set(name, value.dump());
            }
        }
        return settings;
    }

private:
    static constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();

    const Json* find(const char* name) const {
        const Json* value = given(name);
        return value != nullptr && !value->is_null() ? value : nullptr;
    }

    template <typename Value>
    static Value required(const char* name, std::optional<Value> value) {
        if (!value) {
            throw BadArgument("argument \"" + std::string(name) + "\" is missing");
        }
        return *std::move(value);
    }

    static void expect(bool fits, const char* name, const Json& value, const char* shape) {
        if (!fits) {
            throw BadArgument("argument \"" + std::string(name) + "\" is " + value.dump() +
                              ", not " + shape);
        }
    }

    const Json& fields_;
    const std::string& line_;
};
