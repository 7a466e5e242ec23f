/// Sign-in for instant messaging with libtim.
library;

export 'src/client.dart';
