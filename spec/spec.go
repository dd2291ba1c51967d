// Package spec embeds the specifications, schemas and vectors of Waybill.
package spec
