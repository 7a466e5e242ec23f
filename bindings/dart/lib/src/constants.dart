/// The numbers of tim.h that this package uses.
library;

abstract final class Code {
  static const int ok = 0; // TIM_OK
  static const int interrupted = 7009; // TIM_ERR_INTERRUPTED
  static const int invalidUserId = 7003; // TIM_ERR_INVALID_USER_ID
  static const int closing = 7703; // TIM_ERR_CLOSING
  static const int bufferTooSmall = 7709; // TIM_ERR_BUFFER_TOO_SMALL
  static const int nameInUse = 7728; // TIM_ERR_NAME_IN_USE
  static const int unreadable = 70003; // TIM_ERR_USER_SIG_UNREADABLE
  static const int noClient = 7705; // TIM_ERR_NO_SUCH_CLIENT
}

abstract final class EventType {
  static const int completion = 1; // TIM_EVENT_COMPLETION
  static const int connection = 2; // TIM_EVENT_CONNECTION
  static const int userSigExpired = 3; // TIM_EVENT_USER_SIG_EXPIRED
  static const int kickedOffline = 4; // TIM_EVENT_KICKED_OFFLINE
  static const int userSigExpiring = 5; // TIM_EVENT_USER_SIG_EXPIRING
  static const int closed = 6; // TIM_EVENT_CLOSED
}

abstract final class HintNumber {
  static const int networkChanged = 1; // TIM_HINT_NETWORK_CHANGED
  static const int foreground = 2; // TIM_HINT_FOREGROUND
}
