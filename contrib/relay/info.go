package relay

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// info is the NIP-11 document.
type info struct {
	Name          string `json:"name"`
	Description   string `json:"description"`
	SupportedNIPs []int  `json:"supported_nips"`
	Software      string `json:"software"`
	Limitation    limits `json:"limitation"`
}

type limits struct {
	MaxMessageLength int64 `json:"max_message_length"`
	MaxSubscriptions int   `json:"max_subscriptions"`
	MaxFilters       int   `json:"max_filters"`
	MaxLimit         int   `json:"max_limit"`
	MaxSubIDLength   int   `json:"max_subid_length"`
	AuthRequired     bool  `json:"auth_required"`
	PaymentRequired  bool  `json:"payment_required"`
	RestrictedWrites bool  `json:"restricted_writes"`
}

func (r *Relay) serveInfo(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	switch {
	case req.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		http.Error(w, "a relay answers GET", http.StatusMethodNotAllowed)
	case strings.Contains(req.Header.Get("Accept"), "application/nostr+json"):
		h.Set("Content-Type", "application/nostr+json")
		_ = json.NewEncoder(w).Encode(r.info()) // a client that is gone needs no answer
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "This is a Nostr relay. Use a Nostr client.\n")
	}
}

func (r *Relay) info() info {
	nips := []int{1, 9, 11, 40}
	if r.cfg.RequireAuth {
		nips = append(nips, 42)
	}
	return info{
		Name: r.cfg.Name, Description: r.cfg.Description, SupportedNIPs: nips,
		Software: "https://github.com/mostro-cln/mostro",
		Limitation: limits{
			MaxMessageLength: r.cfg.MaxMessage, MaxSubscriptions: r.cfg.MaxSubscriptions, MaxFilters: r.cfg.MaxFilters,
			MaxLimit: r.cfg.MaxLimit, MaxSubIDLength: 64, AuthRequired: r.cfg.RequireAuth,
		},
	}
}
