%module tim_swig
%{
#include <tim.h>
%}
%include <stdint.i>
%include <tim.h>
