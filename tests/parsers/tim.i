%module tim_swig
%{
#include <tim.h>
%}
%include <stdint.i>
/* The library writes it. */
%immutable tim_event::message;
%include <tim.h>
