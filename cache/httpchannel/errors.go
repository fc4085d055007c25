package httpchannel

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is what everything returns after Close.
	ErrClosed = errors.New("httpchannel: closed")
	// ErrSecret: a peer does not take this node's secret, or the board was written under another one.
	ErrSecret = errors.New("httpchannel: another secret")
	// ErrVersion: a peer, or whoever wrote the board, speaks another version of the protocol.
	ErrVersion = errors.New("httpchannel: another version of the protocol")
	// ErrLapsed: this node has not read the board for Options.Trust, is not on it, or has just come and not every other node
	// knows it. What it would write could be missed, so it owes it.
	ErrLapsed = errors.New("httpchannel: not on the board, so fences could be missed")
	// ErrFull: as many nodes are on the board as may be.
	ErrFull = fmt.Errorf("httpchannel: %d nodes are on the board already", maxMembers)

	errMalformed = errors.New("not a message of this protocol")
	errGone      = errors.New("another process answers at this address")
	errOther     = errors.New("the answer is another process's")
)
