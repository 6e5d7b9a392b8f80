// Boost.JSON's functions, compiled in from its headers. In a file of their own: whoever links them already links them once.
#include <boost/json/src.hpp>
