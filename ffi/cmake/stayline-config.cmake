# SPDX-License-Identifier: Apache-2.0
#
# find_package(stayline): the targets stayline::stayline (the shared library) and
# stayline::stayline_static, whichever are installed. Everything is found from where this file is,
# so that the installed tree may be moved.

get_filename_component(_stayline_libdir "${CMAKE_CURRENT_LIST_DIR}/../.." REALPATH)

# lib/ beside include/, or lib/<architecture>/.
unset(_stayline_include)
foreach(_stayline_up ".." "../..")
    if(NOT _stayline_include AND EXISTS "${_stayline_libdir}/${_stayline_up}/include/stayline.h")
        get_filename_component(
            _stayline_include "${_stayline_libdir}/${_stayline_up}/include" ABSOLUTE)
    endif()
endforeach()

# Written out: CMake knows the suffixes of a project's languages only, which may come later.
if(APPLE)
    set(_stayline_shared "${_stayline_libdir}/libstayline.dylib")
else()
    set(_stayline_shared "${_stayline_libdir}/libstayline.so")
endif()
set(_stayline_static "${_stayline_libdir}/libstayline.a")

set(stayline_FOUND TRUE)
if(NOT _stayline_include)
    set(stayline_FOUND FALSE)
    set(stayline_NOT_FOUND_MESSAGE "there is no include/stayline.h near ${_stayline_libdir}")
elseif(NOT EXISTS "${_stayline_shared}" AND NOT EXISTS "${_stayline_static}")
    set(stayline_FOUND FALSE)
    set(stayline_NOT_FOUND_MESSAGE "there is no library in ${_stayline_libdir}")
endif()

if(stayline_FOUND AND EXISTS "${_stayline_shared}" AND NOT TARGET stayline::stayline)
    add_library(stayline::stayline SHARED IMPORTED)
    set_target_properties(stayline::stayline PROPERTIES
        IMPORTED_LOCATION "${_stayline_shared}"
        INTERFACE_INCLUDE_DIRECTORIES "${_stayline_include}")
endif()

if(stayline_FOUND AND EXISTS "${_stayline_static}" AND NOT TARGET stayline::stayline_static)
    # What the library itself needs of the system is said in one place, for pkg-config too.
    file(STRINGS "${_stayline_libdir}/pkgconfig/stayline.pc" _stayline_private
         REGEX "^Libs\\.private:")
    string(REGEX REPLACE "^Libs\\.private:[ ]*" "" _stayline_private "${_stayline_private}")
    string(REGEX REPLACE "[ ]+" ";" _stayline_private "${_stayline_private}")
    add_library(stayline::stayline_static STATIC IMPORTED)
    set_target_properties(stayline::stayline_static PROPERTIES
        IMPORTED_LOCATION "${_stayline_static}"
        INTERFACE_INCLUDE_DIRECTORIES "${_stayline_include}"
        INTERFACE_LINK_LIBRARIES "${_stayline_private}")
    unset(_stayline_private)
endif()

unset(_stayline_libdir)
unset(_stayline_include)
unset(_stayline_up)
unset(_stayline_shared)
unset(_stayline_static)
