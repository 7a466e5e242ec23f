//! What a ticket is: the published examples, what generators differ in, and what is refused.

use super::*;

const APP: u32 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

#[test]
fn a_made_ticket_is_read_back() {
    let token = make(KEY, APP, "alice", 1_700_000_000, 604_800, None).unwrap();
    let ticket = parse(&token).ok().unwrap();
    assert_eq!(ticket.user_id, "alice");
    assert!(ticket.verify_mac(KEY) && !ticket.verify_mac("another"));
}
