// SPDX-License-Identifier: Apache-2.0
//
// How objects of C's are held: moved and never copied, freed by the `_free` of their type.
#ifndef STAYLINE_OBJECT_HPP
#define STAYLINE_OBJECT_HPP

#include <stayline/base.hpp>
#include <stayline/error.hpp>

#include <functional>
#include <iterator>
#include <type_traits>
#include <utility>

namespace stayline {
namespace detail {

/// What to know of a type of C's. Specialised beside the class that holds it: `free`; and, of
/// handles, `refuse`, some call that gets a NULL; of what is read only, `Info` and `read`.
template <typename Object>
struct Noun;

/// Holds a handle, until it is freed and not only until then: callbacks that the end waits for may
/// use it.
template <typename Object>
class Handle {
public:
    Handle(Handle&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        Handle taken(std::move(other));
        std::swap(object_, taken.object_);
        return *this;
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    /// C's object, lent; NULL once this was moved from.
    Object* get() const noexcept { return object_; }

    /// C's object of one that may be missing.
    static Object* lent(const Handle* handle) {
        return handle != nullptr ? handle->live() : nullptr;
    }

protected:
    /// Takes C's object over.
    explicit Handle(Object* taken) noexcept : object_(taken) {}

    ~Handle() { Noun<Object>::free(object_); }

    /// The object for functions that cannot refuse one that was moved from.
    Object* live() const {
        if (object_ == nullptr) {
            call(Noun<Object>::refuse);
        }
        return object_;
    }

private:
    Object* object_;
};

/// Holds something that does not change, and what it says. It may be a part of something else,
/// which it then keeps alive.
template <typename Object>
class Snapshot {
public:
    /// Takes C's object over.
    explicit Snapshot(std::remove_const_t<Object>* taken)
        : Snapshot(std::shared_ptr<Object>(taken, Noun<Object>::free)) {}

    /// Shares C's object, which lives as long as what the pointer keeps.
    explicit Snapshot(std::shared_ptr<Object> shared) : object_(std::move(shared)) {
        info_.struct_size = sizeof info_;
        call(Noun<Object>::read, object_.get(), &info_);
    }

    Snapshot(Snapshot&& other) noexcept = default;
    Snapshot& operator=(Snapshot&& other) noexcept = default;
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    /// C's object, lent; NULL once this was moved from.
    Object* get() const noexcept { return object_.get(); }

protected:
    using Info = typename Noun<Object>::Info;

    ~Snapshot() = default;

    /// What it says.
    const Info& info() const {
        if (object_ == nullptr) {
            Info nothing{};
            nothing.struct_size = sizeof(Info);
            call(Noun<Object>::read, static_cast<Object*>(nullptr), &nothing);
        }
        return info_;
    }

    const std::shared_ptr<Object>& shared() const noexcept { return object_; }

private:
    std::shared_ptr<Object> object_;
    Info info_{};
};

/// What a list of C's holds, each keeping the list alive.
template <typename Item, typename List, typename Element>
std::vector<Item> items(List* taken, std::size_t (*count)(const List*),
                        Element* (*at)(const List*, std::size_t), void (*free)(List*)) {
    const std::shared_ptr<List> list(taken, free);
    std::vector<Item> found;
    found.reserve(count(taken));
    for (std::size_t index = 0; index < count(taken); ++index) {
        found.push_back(Item(std::shared_ptr<Element>(list, at(taken, index))));
    }
    return found;
}

}  // namespace detail

/// What is taken one by one, as a range: `for (const Event& event : session.events())`. Each item
/// is taken when the loop comes to it and ends when it goes on, unless it was moved from. A range
/// is gone through once; it must not outlive what it takes from, which must not be moved meanwhile.
template <typename Item>
class Taking {
public:
    /// Takes the next; none: it is over.
    using Next = std::function<std::optional<Item>()>;

    /// Goes through the range.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Item;
        using difference_type = std::ptrdiff_t;
        using pointer = Item*;
        using reference = Item&;

        /// Where there is no next.
        Iterator() = default;
        /// Takes the first.
        explicit Iterator(Next next) : place_(std::make_shared<Place>()) {
            place_->next = std::move(next);
            ++*this;
        }

        reference operator*() const { return *place_->item; }
        pointer operator->() const { return &*place_->item; }
        Iterator& operator++() {
            place_->item = place_->next();
            if (!place_->item) {
                place_.reset();
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(const Iterator& other) const { return place_ == other.place_; }
        bool operator!=(const Iterator& other) const { return place_ != other.place_; }

    private:
        struct Place {
            Next next;
            std::optional<Item> item;
        };
        std::shared_ptr<Place> place_;
    };

    /// A range over what `next` gives.
    explicit Taking(Next next) : next_(std::move(next)) {}

    /// Takes the first; throws what taking throws.
    Iterator begin() const { return Iterator(next_); }

    /// Where there is no next.
    Iterator end() const { return Iterator(); }

private:
    Next next_;
};

}  // namespace stayline

#endif  // STAYLINE_OBJECT_HPP
