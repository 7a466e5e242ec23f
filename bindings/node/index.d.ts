import { EventEmitter } from 'node:events';

/** The keys of tim.h's configuration. */
export interface Config {
  server_url: string;
  sdk_app_id: number;
  name?: string;
  device_id?: string;
  platform?: 'android' | 'iphone' | 'ipad' | 'windows' | 'mac' | 'linux' | 'web';
  device_name?: string;
  login_timeout_ms?: number;
  request_timeout_ms?: number;
  reconnect?: { first_ms?: number; max_ms?: number };
  user_sig_expiring_lead_s?: number;
  ca_file?: string;
  system_roots?: boolean;
  proxy?: string;
  allow_plaintext?: boolean;
}

export type LoginStatus = 'closed' | 'loggedIn' | 'loggingIn' | 'loggedOut';
export type ConnectionStatus = 'closed' | 'connected' | 'disconnected' | 'connecting' | 'connectFailed';

/** Who took a session over. */
export interface KickInfo {
  cause: 'other_device' | 'same_device' | 'operator';
  platform: string | null;
  deviceName: string;
  timeMs: number;
}

/** The status of the connection changed. */
export interface ConnectionEvent {
  type: 'connection';
  status: ConnectionStatus;
  /** 0, or the cause. */
  code: number;
  message: string;
  loginId: number;
}

/** The ticket has expired or was revoked: log in with a new one. */
export interface UserSigExpiredEvent {
  type: 'userSigExpired';
  code: number;
  message: string;
  loginId: number;
}

/** The ticket expires soon: get a new one and renew. */
export interface UserSigExpiringEvent {
  type: 'userSigExpiring';
  secondsLeft: number;
  loginId: number;
}

/** Another login took the session over, or the server ended it. Only a login takes it back. */
export interface KickedOfflineEvent {
  type: 'kickedOffline';
  code: number;
  message: string;
  loginId: number;
  by: KickInfo | null;
}

export type ClientEvent = ConnectionEvent | UserSigExpiredEvent | UserSigExpiringEvent | KickedOfflineEvent;

/** The events by name, with the arguments of their listeners. */
export interface ClientEvents {
  connection: [ConnectionEvent];
  userSigExpired: [UserSigExpiredEvent];
  userSigExpiring: [UserSigExpiringEvent];
  kickedOffline: [KickedOfflineEvent];
  /** The client has closed. Nothing follows. */
  closed: [];
}

/** A call that was rejected or failed. */
export class TimError extends Error {
  /** TIM_ERR_* of tim.h, as a number and by name. */
  readonly code: number;
  readonly codeName: string;
  /** The same call may succeed later, unchanged. */
  readonly isRetryable: boolean;
  /** How long the server asks to wait; 0 if it does not say. */
  readonly retryAfterMs: number;
}

/** A client of libtim. While it is open, the process does not end by itself; see `unref`. */
export class Client extends EventEmitter<ClientEvents> {
  /** Throws a TimError that names the key if the configuration is wrong. */
  constructor(config: Config);
  /**
   * Adopts the client of that `name` that a worker has left open when it ended: its session, and its events from
   * now on. Two workers must not use a client at the same time.
   */
  static find(name: string): Client | null;
  /** Logs a user in. Rejects if the server refuses or cannot be reached in time. */
  login(userId: string, userSig: string): Promise<void>;
  /** Logs the user out, and ends a login in progress. A rejection says that the server does not know of it yet. */
  logout(): Promise<void>;
  /** Replaces the ticket of the session, without interrupting it. */
  renewUserSig(userSig: string): Promise<void>;
  /** Tells the library what it cannot see for itself. */
  notify(hint: 'networkChanged' | 'foreground'): void;
  readonly status: LoginStatus;
  readonly connection: ConnectionStatus;
  /** The user who is logged in, or the empty string. */
  readonly user: string;
  /** The server's Unix time. Throws before the first login. */
  readonly serverTimeMs: number;
  /** The events from this call on, until the client is closed. */
  events(): AsyncIterable<ClientEvent>;
  /** Keeps the process alive while this client is open, as it does at first. */
  ref(): this;
  /** Lets the process end while this client is open. */
  unref(): this;
  /** Closes the client: pending calls reject with TIM_ERR_INTERRUPTED. Does not log out. */
  close(): void;
}
