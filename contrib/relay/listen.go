package relay

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a relay at a port of its own.
type Server struct {
	*Relay
	URL string // ws://host:port, the same after Stop and Start

	addr string
	free func() bool // lets go of the ctx of Listen
	life sync.Mutex  // guards http
	http *http.Server
}

// Listen starts a relay with default settings at an address, as "127.0.0.1:0". It runs until ctx ends or Close.
func Listen(ctx context.Context, addr string) (*Server, error) {
	return New(Config{}).Listen(ctx, addr)
}

// Listen serves the relay at an address, as "127.0.0.1:0", until ctx ends or Close.
func (r *Relay) Listen(ctx context.Context, addr string) (*Server, error) {
	s := &Server{Relay: r, addr: addr}
	if err := s.Start(); err != nil {
		return nil, err
	}
	s.free = context.AfterFunc(ctx, s.stopForGood)
	return s, nil
}

// Start listens again at the same port after Stop. On a server that listens it does nothing.
func (s *Server) Start() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.http != nil {
		return nil
	}
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", s.addr, err)
	}
	s.addr = ln.Addr().String()
	s.URL = "ws://" + s.addr
	s.setDown(false)
	s.http = &http.Server{Handler: s.Relay, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(ln) // ends with Stop, its error says no more than that
	return nil
}

// Stop is an outage: the port is closed and every client cut off, and all have gone when Stop returns. The events stay.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.http == nil {
		return
	}
	_ = s.http.Close() // the listener is closed whatever it says
	s.http = nil
	s.setDown(true)
}

// Close ends the server and the relay.
func (s *Server) Close() {
	s.free()
	s.stopForGood()
}

func (s *Server) stopForGood() {
	s.Stop()
	s.Relay.Close()
}
