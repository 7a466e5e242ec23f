/// A client with futures and a stream of events.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:ffi';

import 'package:ffi/ffi.dart';

import 'constants.dart';
import 'library.dart';

/// Whether somebody is logged in. The index is the number of tim.h.
enum LoginStatus { closed, loggedIn, loggingIn, loggedOut }

/// The connection to the server. The index is the number of tim.h.
enum ConnectionStatus {
  closed,
  connected,
  disconnected,
  connecting,
  connectFailed
}

/// A call that was rejected or failed.
final class TimException implements Exception {
  TimException(this.code, [String? message])
      : name = timErrorName(code).toDartString(),
        message = message ?? timErrorMessage(code).toDartString(),
        isRetryable = timErrorIsRetryable(code) == 1;

  /// TIM_ERR_* of tim.h.
  final int code;

  /// The code's name as tim.h spells it.
  final String name;
  final String message;

  /// Whether the same call may succeed later, unchanged.
  final bool isRetryable;

  @override
  String toString() => '$message ($name, $code)';
}

/// What happens to a client.
sealed class ClientEvent {
  const ClientEvent(this.loginId);

  /// The login that the event belongs to.
  final int loginId;
}

/// The status of the connection changed; [code] is 0 or the cause.
final class ConnectionChanged extends ClientEvent {
  const ConnectionChanged(this.status, this.code, this.message, super.loginId);
  final ConnectionStatus status;
  final int code;
  final String message;
}

/// Another login took the session over, or the server ended it. Only a login
/// takes it back.
final class KickedOffline extends ClientEvent {
  const KickedOffline(this.code, this.message, this.by, super.loginId);
  final int code;
  final String message;

  /// Who did it: `cause`, `platform`, `device_name`, `time_ms`.
  final Map<String, Object?> by;
}

/// The ticket has expired or was revoked: log in with a new one.
final class UserSigExpired extends ClientEvent {
  const UserSigExpired(this.code, this.message, super.loginId);
  final int code;
  final String message;
}

/// The ticket expires soon: get a new one and renew.
final class UserSigExpiring extends ClientEvent {
  const UserSigExpiring(this.secondsLeft, super.loginId);
  final int secondsLeft;
}

/// Manages the login of one user. Use it in the isolate that created it.
///
/// The library wakes the isolate by a callback without payload, and events are
/// polled there. After a hot restart, the constructor adopts the client of the
/// same name that is still alive.
final class TimClient {
  /// [config] has the keys of tim.h's configuration. Throws a [TimException]
  /// whose message names a wrong key.
  factory TimClient(Map<String, Object?> config) {
    final all = {'name': 'dart', ...config, 'event_delivery': 'poll'};
    final name = all['name'].toString();
    while (true) {
      final (code, handle, message) = _create(jsonEncode(all));
      if (code == Code.ok) return TimClient._(handle);
      if (code != Code.nameInUse) throw TimException(code, message);
      final (found, adopted) = _find(name);
      if (found == Code.ok) return TimClient._(adopted);
      // It is closing, and its isolate is gone: take what it left.
      if (found == Code.closing) _drop(adopted);
    }
  }

  TimClient._(this._handle) {
    _wakeup = NativeCallable<Wakeup>.listener((Pointer<Void> _) => _drain());
    timSetWakeupCallback(_handle, _wakeup.nativeFunction, nullptr);
  }

  final int _handle;
  late final NativeCallable<Wakeup> _wakeup;
  final _events = StreamController<ClientEvent>.broadcast();
  final _pending = <int, Completer<void>>{};
  final _closed = Completer<void>();
  // An adopted client may still complete calls of the isolate before: no number
  // comes twice.
  var _lastCall = DateTime.now().microsecondsSinceEpoch;

  /// The events from now on. The stream ends when the client has closed.
  Stream<ClientEvent> get events => _events.stream;

  LoginStatus get status =>
      LoginStatus.values[timGetLoginStatus(_handle).clamp(0, 3)];

  ConnectionStatus get connection =>
      ConnectionStatus.values[timGetConnectionStatus(_handle).clamp(0, 4)];

  /// The user who is logged in, or the empty string.
  String get user => _text(timGetLoginUser, _handle);

  /// Logs a user in. Fails with a [TimException] if the server refuses or
  /// cannot be reached in time.
  Future<void> login(String userId, String userSig) => using((arena) {
        final user = _cText(userId, Code.invalidUserId, arena);
        final sig = _cText(userSig, Code.unreadable, arena);
        return _call((n) => timLogin(_handle, user, sig, nullptr, n));
      });

  /// Logs the user out. An error says that the server does not know yet.
  Future<void> logout() => _call((n) => timLogout(_handle, nullptr, n));

  /// Replaces the ticket of the session, without interrupting it.
  Future<void> renewUserSig(String userSig) => using((arena) {
        final sig = _cText(userSig, Code.unreadable, arena);
        return _call((n) => timRenewUserSig(_handle, sig, nullptr, n));
      });

  /// Tells the library that the device changed networks.
  void notifyNetworkChanged() => timNotify(_handle, HintNumber.networkChanged);

  /// Tells the library that the app came to the foreground.
  void notifyForeground() => timNotify(_handle, HintNumber.foreground);

  /// Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not
  /// log out.
  Future<void> close() {
    if (!_closed.isCompleted) {
      timClientDestroy(_handle, 0);
      _drain();
    }
    return _closed.future;
  }

  Future<void> _call(int Function(Pointer<Void>) start) {
    final number = ++_lastCall;
    final done = Completer<void>();
    _pending[number] = done;
    final code = start(Pointer.fromAddress(number));
    if (code != Code.ok) {
      _pending.remove(number);
      done.completeError(TimException(code));
    }
    return done.future;
  }

  void _drain() {
    if (_closed.isCompleted) return;
    final event = calloc<EventStruct>();
    try {
      do {
        event.ref.size = sizeOf<EventStruct>();
        if (timPollEvent(_handle, 0, event) != Code.ok) return;
        _deliver(event.ref);
      } while (!_closed.isCompleted);
    } finally {
      calloc.free(event);
    }
  }

  void _deliver(EventStruct event) {
    final code = event.code;
    final message = event.message.toDartString();
    final loginId = event.loginId;
    switch (event.type) {
      case EventType.completion:
        final done = _pending.remove(event.userData.address);
        if (code == Code.ok) {
          done?.complete();
        } else {
          done?.completeError(TimException(code));
        }
      case EventType.connection:
        final status = ConnectionStatus.values[event.connectionStatus];
        _events.add(ConnectionChanged(status, code, message, loginId));
      case EventType.userSigExpired:
        _events.add(UserSigExpired(code, message, loginId));
      case EventType.kickedOffline:
        final info = _text(timGetKickInfo, _handle);
        final by = jsonDecode(info.isEmpty ? '{}' : info);
        _events.add(KickedOffline(
            code, message, (by as Map).cast<String, Object?>(), loginId));
      case EventType.userSigExpiring:
        _events.add(UserSigExpiring(event.secondsLeft, loginId));
      case EventType.closed:
        // The network thread has ended: no wake-up follows.
        _wakeup.close();
        _closed.complete();
        unawaited(_events.close());
    }
  }
}

(int, int, String) _create(String config) => using((arena) {
      final out = arena<Uint64>();
      final error = arena<Uint8>(512).cast<Utf8>();
      final text = config.toNativeUtf8(allocator: arena);
      final code = timClientCreate(text, out, error, 512);
      return (code, out.value, error.toDartString());
    });

(int, int) _find(String name) => using((arena) {
      final out = arena<Uint64>();
      final code = timClientFind(name.toNativeUtf8(allocator: arena), out);
      return (code, out.value);
    });

/// Takes all that is left of a client that is closing.
void _drop(int handle) => using((arena) {
      final event = arena<EventStruct>();
      do {
        event.ref.size = sizeOf<EventStruct>();
      } while (timPollEvent(handle, 1000, event) == Code.ok &&
          event.ref.type != EventType.closed);
    });

/// What a function copies out; empty where it has nothing.
String _text(int Function(int, Pointer<Utf8>, int, Pointer<Size>) copyOut,
    int handle) {
  for (var capacity = 256;;) {
    final (code, length, text) = using((arena) {
      final buffer = arena<Uint8>(capacity).cast<Utf8>();
      final length = arena<Size>();
      final code = copyOut(handle, buffer, capacity, length);
      final text = code == Code.ok ? buffer.toDartString() : '';
      return (code, length.value, text);
    });
    if (code != Code.bufferTooSmall) return text;
    capacity = length + 1;
  }
}

/// A text for C, which a NUL would end early.
Pointer<Utf8> _cText(String text, int code, Arena arena) {
  if (text.contains('\x00')) throw TimException(code);
  return text.toNativeUtf8(allocator: arena);
}
