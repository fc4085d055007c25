// Package testenv gives a test what it needs from outside: real servers, real
// data, a real disk, and how much work to do.
//
//	func TestFence(t *testing.T) {
//		redis := testenv.StartRedis(t)
//		conn := dial(t, redis.Addr)
//		redis.Pause() // and what does our code do now?
//	}
//
// A server is a child process on the loopback interface and a port of its own.
// It is ready when Start returns, because it has answered in its own protocol;
// what it says is captured and shown if the test fails; it ends with the test
// and, on linux, also when the test process is killed. It inherits no file
// descriptor, so it cannot keep a lock that its parent holds.
//
// A missing server fails the test and names what to install. Nothing here ever
// skips a test: one that did not run would look like one that passed.
//
// It is not a way to run servers for anything but tests, acceptance runs and
// examples: data is written without fsync and thrown away.
package testenv
