package main

import (
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/webpage"
)

// openPage prepares the web client, if it is to be served. It listens once the loops run, beside the exchange: what
// goes wrong with it is told and tried again, and stops nobody's trade.
func (h *house) openPage() error {
	if h.config.WebListen == "" {
		return nil
	}
	if !loopback(h.config.WebListen) {
		h.log.Warn("the web client is open to other machines without TLS: whoever is on the way can replace it and take its "+
			"visitors' keys; put a proxy with TLS or an onion service in front", "listen", h.config.WebListen)
	}
	var err error
	h.page, err = webpage.New(webpage.Config{
		Listen: h.config.WebListen, Log: h.log,
		About: webpage.About{PubKey: h.key.PubKey().String(), Relays: h.config.Relays, Name: h.config.Name, Version: version},
	})
	return err
}

// pageState is the part of mostro-info that tells of the web client. It is empty if it is not to be served.
type pageState struct {
	Web        string `json:"web,omitempty" about:"address of the web client"`
	WarningWeb string `json:"warning_web,omitempty" about:"why it is not served"`
}

func (h *house) pageState() (s pageState) {
	if h.page == nil {
		return s
	}
	var problem error
	if s.Web, problem = h.page.State(); problem != nil {
		s.WarningWeb = clnio.CleanLine(problem.Error())
	}
	return s
}
