package testenv

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// attributes of a server's process: the user it runs as, a process group of its
// own so that Ctrl-C reaches the test first, and the signal it gets when the
// thread that started it ends.
func attributes(user *syscall.Credential, quit syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Setpgid: true, Pdeathsig: quit}
}

// childrenOf lists the direct children of a process.
func childrenOf(parent int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var children []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if _, ppid := status(pid); ppid == parent {
				children = append(children, pid)
			}
		}
	}
	return children
}

// alive tells whether a process runs: it exists and is no zombie.
func alive(pid int) bool {
	state, _ := status(pid)
	return state != "" && state != "Z" && state != "X"
}

// halted tells whether all threads of a process have been stopped.
func halted(pid int) bool {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, err := os.ReadDir(tasks)
	for _, t := range threads {
		if state, _ := statusOf(tasks + t.Name()); state == "R" || state == "S" || state == "D" {
			return false
		}
	}
	return err == nil
}

// status returns the state and the parent of a process.
func status(pid int) (state string, ppid int) { return statusOf("/proc/" + strconv.Itoa(pid)) }

// statusOf reads the two fields after the name in proc_pid_stat(5); the name is
// in brackets and may hold any.
func statusOf(folder string) (state string, ppid int) {
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return "", 0 // it has ended
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	ppid, _ = strconv.Atoi(fields[1])
	return fields[0], ppid
}
