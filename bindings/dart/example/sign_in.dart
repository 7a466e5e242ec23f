// The sign-in of an app, in the shape of the reference SDK: when to log in,
// when not, and what each event asks of the app. `fetchUserSig` asks the app's
// backend; `showSignIn` and `showHome` stand for its screens.
import 'package:timlogin/im_sdk.dart';

class SignIn {
  SignIn({
    required this.fetchUserSig,
    required this.showSignIn,
    required this.showHome,
  });
  final Future<String> Function(String userID) fetchUserSig;
  final void Function(String reason) showSignIn;
  final void Function(String userID) showHome;
  String? _userID;

  Future<bool> start(int sdkAppID, String serverUrl, String deviceID) async {
    final result = await TencentImSDKPlugin.v2TIMManager.initSDK(
      sdkAppID: sdkAppID,
      serverUrl: serverUrl,
      deviceID: deviceID,
      listener: V2TimSDKListener(
        // Nothing to do: the library reconnects, and the user stays logged in.
        onConnectFailed: (code, error) {},
        // Another device took over. Ask before taking the session back.
        onKickedOffline: () => showSignIn('signed in on another device'),
        // A new ticket is all it takes.
        onUserSigExpired: () async {
          final userID = _userID;
          if (userID != null) await signIn(userID);
        },
      ),
    );
    return result.code == 0;
  }

  /// Also switches accounts: no logout is needed before it.
  Future<void> signIn(String userID) async {
    final manager = TencentImSDKPlugin.v2TIMManager;
    final status = await manager.getLoginStatus();
    final user = await manager.getLoginUser();
    if (status.data == 2 || (status.data == 1 && user.data == userID)) return;
    _userID = userID;
    var result = await manager.login(
      userID: userID,
      userSig: await fetchUserSig(userID),
    );
    if (result.code == 6206 || result.code == 70001) {
      // The ticket had expired: once more with a new one.
      result = await manager.login(
        userID: userID,
        userSig: await fetchUserSig(userID),
      );
    }
    if (result.code == 0) {
      showHome(userID);
    } else {
      showSignIn(result.desc);
    }
  }

  Future<void> signOut() async {
    _userID = null;
    await TencentImSDKPlugin.v2TIMManager.logout();
    await TencentImSDKPlugin.v2TIMManager.unInitSDK();
    showSignIn('signed out');
  }
}
