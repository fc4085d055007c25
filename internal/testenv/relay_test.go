package testenv_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// echo is a server that says back what it hears.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestRelay(t *testing.T) {
	r := testenv.StartRelay(t, echo(t))
	c := dial(t, r.Addr)
	c.expect(t, "through", "through")

	r.Pause()
	if _, err := io.WriteString(c, "waits\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if b, err := c.r.ReadByte(); err == nil {
		t.Errorf("byte %q came through a paused relay", b)
	}
	r.Resume()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.r.ReadString('\n'); err != nil || got != "waits\r\n" {
		t.Errorf("after the pause %q came, %v", got, err)
	}

	r.Cut()
	if got, err := c.ask("gone"); err == nil {
		t.Errorf("through a cut came %q", got)
	}
	dial(t, r.Addr).expect(t, "again", "again")
}
