package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Servers listen below the range that systems hand to outgoing connections
// (32768 and up on linux, 49152 on macOS): otherwise a connection of the test
// itself could hold a server's port at the moment it restarts.
const lowestPort, highestPort = 18_000, 32_000

// freePort returns a port of 127.0.0.1 that nobody listens on right now.
func freePort(t TB) int {
	t.Helper()
	for range 1_000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatalf("find a free port: 1000 between %d and %d are taken", lowestPort, highestPort)
	return 0
}
