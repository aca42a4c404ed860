//! Names of operations without what differs from request to request, so that requests of one kind can be counted together.

/// Longest name, in bytes.
const NAME: usize = 160;

/// A span's name with `{id}` for what is an id in its path, without query and control characters.
pub fn normalised(name: &str) -> String {
    let name = name.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = name.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment }).collect();
    let mut text: String = segments.join("/").chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    text.truncate(text.floor_char_boundary(NAME));
    text.trim().to_owned()
}

/// Digits alone, long hexadecimal numbers (with hyphens: UUIDs), and codes in capitals and digits.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let all = |test: fn(&u8) -> bool| segment.bytes().all(|byte| test(&byte));
    digits > 0
        && (digits == segment.len()
            || (segment.len() >= 16 && all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'))
            || (segment.len() >= 6 && all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_differs_from_request_to_request() {
        let cases = [
            ("GET /orders/4711/items?page=2", "GET /orders/{id}/items"),
            ("GET /carts/0af76519-16cd-43dd-8448-eb211c80319c", "GET /carts/{id}"),
            ("/product/OLJCESPC7Z", "/product/{id}"),
            ("SELECT orders", "SELECT orders"),
            ("hipstershop.CartService/GetCart", "hipstershop.CartService/GetCart"),
            ("GET /v2/HEALTH\u{1b}", "GET /v2/HEALTH"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(normalised(name), expected);
        }
        assert_eq!(normalised(&"ä".repeat(1000)).len(), NAME);
    }
}
