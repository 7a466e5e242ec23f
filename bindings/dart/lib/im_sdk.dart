/// The API in the shape that Flutter users of the reference SDK know: import
/// this file instead of theirs. Code 0 is success; statuses are 1 (logged in),
/// 2 (logging in) and 3 (logged out).
library;

import 'dart:async';

import 'src/client.dart';
import 'src/constants.dart';

/// The result of a call.
class V2TimCallback {
  V2TimCallback({required this.code, required this.desc});
  final int code;
  final String desc;
}

/// The result of a call that returns a value.
class V2TimValueCallback<T> {
  V2TimValueCallback({required this.code, required this.desc, this.data});
  final int code;
  final String desc;
  final T? data;
}

/// Accepted and ignored: libtim logs by `tim_poll_log`.
enum LogLevelEnum {
  V2TIM_LOG_NONE,
  V2TIM_LOG_DEBUG,
  V2TIM_LOG_INFO,
  V2TIM_LOG_WARN,
  V2TIM_LOG_ERROR
}

/// What happens to the connection and the login.
class V2TimSDKListener {
  V2TimSDKListener({
    this.onConnecting,
    this.onConnectSuccess,
    this.onConnectFailed,
    this.onKickedOffline,
    this.onUserSigExpired,
  });
  final void Function()? onConnecting;
  final void Function()? onConnectSuccess;
  final void Function(int code, String error)? onConnectFailed;
  final void Function()? onKickedOffline;
  final void Function()? onUserSigExpired;
}

/// The manager of the app's one client.
class V2TIMManager {
  /// The server, unless [initSDK] names it.
  static const defaultServer = String.fromEnvironment('TIM_SERVER_URL',
      defaultValue: 'http://127.0.0.1:7700');

  TimClient? _client;
  StreamSubscription<ClientEvent>? _events;

  /// Creates the client. [serverUrl] and [deviceID] are additions: pass an id
  /// that the app keeps, or each start is a new device.
  Future<V2TimValueCallback<bool>> initSDK({
    required int sdkAppID,
    LogLevelEnum loglevel = LogLevelEnum.V2TIM_LOG_NONE,
    required V2TimSDKListener listener,
    String serverUrl = defaultServer,
    String? deviceID,
  }) async {
    await unInitSDK();
    try {
      final client = TimClient({
        'server_url': serverUrl,
        'sdk_app_id': sdkAppID,
        if (deviceID != null) 'device_id': deviceID,
      });
      _client = client;
      _events = client.events.listen((event) => _tell(listener, event));
      return V2TimValueCallback(code: Code.ok, desc: '', data: true);
    } on TimException catch (error) {
      return V2TimValueCallback(
          code: error.code, desc: error.message, data: false);
    }
  }

  /// Closes the client. Log out first if the user is to be logged out.
  Future<V2TimCallback> unInitSDK() async {
    await _client?.close();
    await _events?.cancel();
    _client = null;
    _events = null;
    return V2TimCallback(code: Code.ok, desc: '');
  }

  Future<V2TimCallback> login({
    required String userID,
    required String userSig,
  }) =>
      _done((client) => client.login(userID, userSig));

  Future<V2TimCallback> logout() => _done((client) => client.logout());

  /// The user who is logged in; empty if nobody is.
  Future<V2TimValueCallback<String>> getLoginUser() async =>
      _value((client) => client.user);

  /// 1 logged in, 2 logging in, 3 logged out.
  Future<V2TimValueCallback<int>> getLoginStatus() async =>
      _value((client) => client.status.index);

  Future<V2TimCallback> _done(Future<void> Function(TimClient) call) async {
    try {
      final client = _client;
      if (client == null) throw TimException(Code.noClient);
      await call(client);
      return V2TimCallback(code: Code.ok, desc: '');
    } on TimException catch (error) {
      return V2TimCallback(code: error.code, desc: error.message);
    }
  }

  V2TimValueCallback<T> _value<T>(T Function(TimClient) get) {
    final client = _client;
    if (client == null) {
      final error = TimException(Code.noClient);
      return V2TimValueCallback(code: error.code, desc: error.message);
    }
    return V2TimValueCallback(code: Code.ok, desc: '', data: get(client));
  }

  void _tell(V2TimSDKListener listener, ClientEvent event) {
    switch (event) {
      case ConnectionChanged(status: ConnectionStatus.connecting):
        listener.onConnecting?.call();
      case ConnectionChanged(status: ConnectionStatus.connected):
        listener.onConnectSuccess?.call();
      case ConnectionChanged(
          status: ConnectionStatus.connectFailed,
          :final code,
          :final message
        ):
        listener.onConnectFailed?.call(code, message);
      case KickedOffline():
        listener.onKickedOffline?.call();
      case UserSigExpired():
        listener.onUserSigExpired?.call();
      case ConnectionChanged() || UserSigExpiring():
        break;
    }
  }
}

/// Where the manager is found.
abstract final class TencentImSDKPlugin {
  static final V2TIMManager v2TIMManager = V2TIMManager();
}
