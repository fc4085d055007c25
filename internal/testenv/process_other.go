//go:build !linux

package testenv

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attributes of a server's process: the user it runs as and a process group of
// its own. There is no signal for the end of a parent here: a server outlives a
// test process that is killed.
func attributes(user *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Setpgid: true}
}

// childrenOf lists the direct children of a process.
func childrenOf(parent int) []int {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(parent)).Output()
	if err != nil {
		return nil // none
	}
	var children []int
	for _, field := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil {
			children = append(children, pid)
		}
	}
	return children
}

// alive tells whether a process exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// halted tells whether a process that was told to stop has: nobody can say here,
// so it is given a moment.
func halted(int) bool {
	time.Sleep(50 * time.Millisecond)
	return true
}
