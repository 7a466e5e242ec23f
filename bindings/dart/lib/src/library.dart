/// The functions of libtim that this package calls.
library;

import 'dart:ffi';
import 'dart:io' show Platform;

import 'package:ffi/ffi.dart';

/// `tim_event` of tim.h.
final class EventStruct extends Struct {
  @Uint32()
  external int size;
  @Int32()
  external int type;
  @Int32()
  external int code;
  @Int32()
  external int connectionStatus;
  @Int32()
  external int loginStatus;
  @Int32()
  external int isRetryable;
  @Uint64()
  external int loginId;
  @Int64()
  external int secondsLeft;
  external Pointer<Void> userData;
  external Pointer<Utf8> message;
}

/// `tim_wakeup_callback` of tim.h.
typedef Wakeup = Void Function(Pointer<Void>);

DynamicLibrary _open() {
  final named = Platform.environment['TIM_LIB'];
  if (named != null) return DynamicLibrary.open(named);
  if (Platform.isIOS) return DynamicLibrary.process();
  if (Platform.isMacOS) return DynamicLibrary.open('libtim.dylib');
  if (Platform.isWindows) return DynamicLibrary.open('tim.dll');
  if (Platform.isAndroid) return DynamicLibrary.open('libtim.so');
  return DynamicLibrary.open('libtim.so.0');
}

final DynamicLibrary _library = _open();

final timClientCreate = _library.lookupFunction<
    Int32 Function(Pointer<Utf8>, Pointer<Uint64>, Pointer<Utf8>, Size),
    int Function(Pointer<Utf8>, Pointer<Uint64>, Pointer<Utf8>,
        int)>('tim_client_create');

final timClientFind = _library.lookupFunction<
    Int32 Function(Pointer<Utf8>, Pointer<Uint64>),
    int Function(Pointer<Utf8>, Pointer<Uint64>)>('tim_client_find');

final timClientDestroy = _library.lookupFunction<Int32 Function(Uint64, Int32),
    int Function(int, int)>('tim_client_destroy');

final timLogin = _library.lookupFunction<
    Int32 Function(
        Uint64, Pointer<Utf8>, Pointer<Utf8>, Pointer<Void>, Pointer<Void>),
    int Function(int, Pointer<Utf8>, Pointer<Utf8>, Pointer<Void>,
        Pointer<Void>)>('tim_login');

final timLogout = _library.lookupFunction<
    Int32 Function(Uint64, Pointer<Void>, Pointer<Void>),
    int Function(int, Pointer<Void>, Pointer<Void>)>('tim_logout');

final timRenewUserSig = _library.lookupFunction<
    Int32 Function(Uint64, Pointer<Utf8>, Pointer<Void>, Pointer<Void>),
    int Function(int, Pointer<Utf8>, Pointer<Void>,
        Pointer<Void>)>('tim_renew_user_sig');

final timNotify = _library.lookupFunction<Int32 Function(Uint64, Int32),
    int Function(int, int)>('tim_notify');

final timPollEvent = _library.lookupFunction<
    Int32 Function(Uint64, Int32, Pointer<EventStruct>),
    int Function(int, int, Pointer<EventStruct>)>('tim_poll_event');

final timSetWakeupCallback = _library.lookupFunction<
    Int32 Function(Uint64, Pointer<NativeFunction<Wakeup>>, Pointer<Void>),
    int Function(int, Pointer<NativeFunction<Wakeup>>,
        Pointer<Void>)>('tim_set_wakeup_callback');

final timGetLoginStatus = _library.lookupFunction<Int32 Function(Uint64),
    int Function(int)>('tim_get_login_status');

final timGetConnectionStatus = _library.lookupFunction<Int32 Function(Uint64),
    int Function(int)>('tim_get_connection_status');

final timGetLoginUser = _library.lookupFunction<
    Int32 Function(Uint64, Pointer<Utf8>, Size, Pointer<Size>),
    int Function(
        int, Pointer<Utf8>, int, Pointer<Size>)>('tim_get_login_user');

final timGetKickInfo = _library.lookupFunction<
    Int32 Function(Uint64, Pointer<Utf8>, Size, Pointer<Size>),
    int Function(int, Pointer<Utf8>, int, Pointer<Size>)>('tim_get_kick_info');

final timErrorName = _library.lookupFunction<Pointer<Utf8> Function(Int32),
    Pointer<Utf8> Function(int)>('tim_error_name');

final timErrorMessage = _library.lookupFunction<Pointer<Utf8> Function(Int32),
    Pointer<Utf8> Function(int)>('tim_error_message');

final timErrorIsRetryable = _library.lookupFunction<Int32 Function(Int32),
    int Function(int)>('tim_error_is_retryable');
